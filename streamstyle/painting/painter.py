"""The middle of the pipeline: from a frame to a painted frame."""

from dataclasses import dataclass, replace

import numpy as np

from engines import MIN_SIDE, NO_STYLE, Engine, Style
from streamstyle.errors import UserError
from streamstyle.frame import Frame, Still
from streamstyle.image_ops import resized
from streamstyle.painting.compositor import Compositor, Finish, Layer, Size
from streamstyle.painting.masks import Mask
from streamstyle.painting.pixel_budget import limited
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.styles import regional_styles

MOST_SIDE = 16384
"""Pixels of a side that may be asked for, twice those of 8K: with more, memory does not suffice."""


@dataclass(frozen=True)
class Look(Finish):
    """What a painted frame of a file is to look like."""

    width: int | None = None
    """Width of the frame that the network gets, in pixels; None follows height, scale or the
    input, of which some networks see at most so many pixels (ModelCard.most_pixels)."""
    height: int | None = None
    scale: float | None = None
    """Size of the frame that the network gets, relative to the input."""
    resize: bool = False
    """Leave the frame at the network's size instead of the input's."""
    side_by_side: bool = False
    """Put the original to the left of the painting."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale is not None and (self.width is not None or self.height is not None):
            raise UserError("give a scale, or a width and height, not both")
        if self.scale is not None and not 0 < self.scale <= 4:
            raise UserError(f"a scale is above 0 and at most 4, got {self.scale}")
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and side < MIN_SIDE:
                raise UserError(f"a {name} is at least {MIN_SIDE} pixels, got {side}")

    @property
    def is_sized(self) -> bool:
        """Whether it says at which size the network sees a frame."""
        return not self.scale is self.width is self.height is None

    def working_size(self, width: int, height: int) -> Size:
        """(width, height) at which the network sees a frame of this size. Raises UserError where
        more than MOST_SIDE is asked for."""
        scale = self.scale or 1.0
        if self.width is not None:
            scale = self.width / width
        elif self.height is not None:
            scale = self.height / height
        across, down = (max(MIN_SIDE, round(side * scale)) for side in (width, height))
        if self.width is not None and self.height is not None:
            across, down = self.width, self.height
        if across > max(MOST_SIDE, width) or down > max(MOST_SIDE, height):
            raise UserError(
                f"the network works at up to {MOST_SIDE} pixels a side, or the input's own, got "
                f"{across}x{down}; give a smaller width, height or scale"
            )
        return across, down


class Painter:
    """Paints frames with an engine. Used by one thread, or as many as `share` allows."""

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
        than its card allows."""
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
        """As `Engine.share`, for what is painted here: 1 if frames depend on the ones before."""
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
