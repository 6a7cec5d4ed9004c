"""The middle of the pipeline: from a frame to a painted frame."""

from dataclasses import dataclass

import numpy as np

from engines import MIN_SIDE, NO_STYLE, Engine, Style
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.pixels import blended, resized


@dataclass(frozen=True)
class Look:
    """What a painted frame is to look like."""

    strength: float = 1.0
    """0 is the original, 1 the painting; between, the two are blended."""
    width: int | None = None
    """Of the frame as the network sees it, in pixels; None follows height, scale or the input."""
    height: int | None = None
    scale: float | None = None
    """Of the frame as the network sees it, relative to the input."""
    resize: bool = False
    """Leave the frame at the network's size instead of the input's."""
    side_by_side: bool = False
    """Put the original to the left of the painting."""

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UserError(f"a strength is from 0 to 1, got {self.strength}")
        if self.scale is not None and (self.width is not None or self.height is not None):
            raise UserError("give a scale, or a width and height, not both")
        if self.scale is not None and not 0 < self.scale <= 4:
            raise UserError(f"a scale is above 0 and at most 4, got {self.scale}")
        for name, side in (("width", self.width), ("height", self.height)):
            if side is not None and side < MIN_SIDE:
                raise UserError(f"a {name} is at least {MIN_SIDE} pixels, got {side}")

    def working_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) at which the network sees a frame of this size."""
        scale = self.scale or 1.0
        if self.width is not None and self.height is None:
            scale = self.width / width
        elif self.height is not None and self.width is None:
            scale = self.height / height
        elif self.width is not None and self.height is not None:
            return self.width, self.height
        return max(MIN_SIDE, round(width * scale)), max(MIN_SIDE, round(height * scale))


class Painter:
    """Paints frames with an engine. Used by one thread."""

    def __init__(self, engine: Engine, look: Look, style: Style = NO_STYLE) -> None:
        self._engine = engine
        self._look = look
        self._style = style

    def __call__(self, frame: Frame) -> Frame:
        look = self._look
        seen = resized(frame.image, *look.working_size(frame.width, frame.height))
        painted = self._engine.paint(seen[np.newaxis], self._style)[0]
        if look.resize:
            original = seen
        else:
            original = frame.image
            painted = resized(painted, frame.width, frame.height)
        if look.strength < 1:
            painted = blended(painted, original, look.strength)
        if look.side_by_side:
            painted = np.hstack([original, painted])
        return frame.with_image(painted)
