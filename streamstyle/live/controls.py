"""What can be changed while a picture is painted."""

from dataclasses import dataclass
from enum import Enum

from streamstyle.errors import check_share
from streamstyle.painting.compositor import Finish
from streamstyle.styles import DEFAULT_STYLE, StyleSpec, parse_style


class View(Enum):
    """What the window shows."""

    PAINTED = "painted"
    ORIGINAL = "original"
    SIDE_BY_SIDE = "side by side"
    SPLIT = "split"
    """The original to the left of a line, the painting to its right."""

    @property
    def following(self) -> "View":
        views = list(View)
        return views[(views.index(self) + 1) % len(views)]


@dataclass(frozen=True)
class Controls(Finish):
    """One moment's settings. A change makes new ones, so that a frame is painted by one of them
    from beginning to end, whatever is pressed meanwhile.
    """

    style: StyleSpec = parse_style(DEFAULT_STYLE)
    second_style: StyleSpec | None = None
    mix: float = 0.0
    """0 is the first style alone, 1 the second. With a mask, the second is what is outside."""
    stroke: float = 0.5
    """0 is fine strokes, 1 large ones."""
    view: View = View.PAINTED
    split: float = 0.5
    """Where the line of View.SPLIT is, from 0, left, to 1, right."""
    mirror: bool = False
    paused: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_share("stroke", self.stroke)
