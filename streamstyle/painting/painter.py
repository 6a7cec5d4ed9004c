"""The middle of the pipeline for files: from a frame to a painted frame."""

from dataclasses import replace

import numpy as np

from engines import NO_STYLE, Engine, Style
from streamstyle.frame import Frame, Still
from streamstyle.image_ops import resized
from streamstyle.painting.compositor import Compositor, Layer
from streamstyle.painting.look import Look
from streamstyle.painting.masks import Mask
from streamstyle.painting.pixel_budget import limited
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.styles import regional_styles


class Painter:
    """Paints frames with an engine. Used by one thread, or as many as `set_concurrency` allows."""

    def __init__(
        self,
        engine: Engine,
        look: Look,
        style: Style = NO_STYLE,
        mask: Mask | None = None,
        outside: Engine | None = None,
    ) -> None:
        """With `mask`, only what is inside is painted; what is outside is painted by the engine
        `outside`, or left as it is. Unless the look says at which size, neither sees more pixels
        than its card allows.
        """
        if not look.is_sized:
            engine = limited(engine)
            outside = None if outside is None else limited(outside)
        self._engine = engine
        self._look = look
        self._inside, self._outside = [Layer(engine, style)], []
        if outside is not None:
            both = regional_styles(engine, outside)
            if both is None:
                self._outside = [Layer(outside, NO_STYLE)]
            else:  # one engine for both
                self._inside, self._outside = ([Layer(engine, each)] for each in both)
        self._keeps_state = mask is not None or bool(look.steady)
        self._compositor = Compositor(mask, Stabilizer() if look.steady else None)
        self._for_stills = Compositor(mask)

    def prepare(self, width: int, height: int) -> None:
        """Do ahead what the first frame of this size would have to wait for."""
        width, height = self._look.working_size(width, height)
        for layer in (*self._inside, *self._outside):
            layer.engine.prepare(height, width, style=layer.style)

    def set_concurrency(self, threads: int) -> int:
        """As `Engine.set_concurrency`; 1 if frames depend on the ones before."""
        return 1 if self._keeps_state else self._engine.set_concurrency(threads)

    def __call__(self, frame: Frame) -> Frame:
        look = self._look
        size = look.working_size(frame.width, frame.height)
        original = resized(frame.image, *size) if look.resize else frame.image
        compositor = self._compositor if frame.still is None else self._for_stills
        painting = compositor.paint(frame.with_image(original), size, self._inside, self._outside)
        painted = compositor.finish(painting, look)
        if look.side_by_side:
            painted = np.hstack([original, painted])
            frame = replace(frame, still=_twice(frame.still))
        return frame.with_image(painted)


def _twice(still: Still | None) -> Still | None:
    """What goes with a picture that is put beside itself."""
    if still is None or still.alpha is None:
        return still
    return replace(still, alpha=np.hstack([still.alpha, still.alpha]))
