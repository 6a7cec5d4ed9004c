"""The look of painted files: size, layout and finish."""

from dataclasses import dataclass

from engines import MIN_SIDE
from streamstyle.errors import UserError
from streamstyle.painting.compositor import Finish, Size

MOST_SIDE = 16384
"""Maximum side that can be asked for, in pixels: twice that of 8K. More does not fit in memory."""


@dataclass(frozen=True)
class Look(Finish):
    """How a painted frame of a file is sized, laid out and finished.

    Raises UserError if values are out of range or contradict each other.
    """

    width: int | None = None
    """Width of the frame that the network gets, in pixels; None follows height, scale or input.

    If the input decides, some networks limit the number of pixels (ModelCard.most_pixels).
    """
    height: int | None = None
    """Height of the frame that the network gets, in pixels; None follows width, scale or input."""
    scale: float | None = None
    """Size of the frame that the network gets, relative to the input; above 0, at most 4."""
    resize: bool = False
    """Leave the painted frame at the network's size instead of the input's."""
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
        """Whether the look sets the size of the network's frames."""
        return not self.scale is self.width is self.height is None

    def working_size(self, width: int, height: int) -> Size:
        """Return the (width, height) at which the network sees a frame of this size.

        Raises UserError if a side is larger than MOST_SIDE and than the frame's own side.
        """
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
                f"the network takes at most {MOST_SIDE} pixels a side, or the input's size, got "
                f"{across}x{down}; give a smaller width, height or scale"
            )
        return across, down
