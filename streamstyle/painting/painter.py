"""The painting stage of the pipeline for files."""

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
    """Paints frames with an engine, on one thread or as many as `set_concurrency` allows."""

    def __init__(
        self,
        engine: Engine,
        look: Look,
        style: Style = NO_STYLE,
        mask: Mask | None = None,
        outside: Engine | None = None,
    ) -> None:
        """Set up painting; with `mask`, the engine paints only the inside.

        The engine `outside` paints the rest; without it, the rest keeps the original. If the look
        sets no size, both engines see at most the pixels that their cards allow.
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
            else:  # one engine paints both regions
                self._inside, self._outside = ([Layer(engine, each)] for each in both)
        self._keeps_state = mask is not None or bool(look.steady)
        self._compositor = Compositor(mask, Stabilizer() if look.steady else None)
        self._for_stills = Compositor(mask)

    def prepare(self, width: int, height: int) -> None:
        """Prepare the engines for frames of this size, so that the first need not wait."""
        width, height = self._look.working_size(width, height)
        for layer in (*self._inside, *self._outside):
            layer.engine.prepare(height, width, style=layer.style)

    def set_concurrency(self, threads: int) -> int:
        """Allow up to `threads` to paint at a time, and return how many may.

        It is 1 if frames depend on earlier ones; otherwise see `Engine.set_concurrency`.
        """
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
    """Return `still` for a picture placed beside its original: the alpha is repeated."""
    if still is None or still.alpha is None:
        return still
    return replace(still, alpha=np.hstack([still.alpha, still.alpha]))
