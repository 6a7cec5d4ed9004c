"""The settings that can change while video is painted."""

from dataclasses import dataclass
from enum import Enum

from streamstyle.errors import check_share
from streamstyle.painting.compositor import Finish
from streamstyle.styles import DEFAULT_STYLE, StyleSpec, parse_style


class View(Enum):
    """The arrangement of painting and original in the window."""

    PAINTED = "painted"
    ORIGINAL = "original"
    SIDE_BY_SIDE = "side by side"
    SPLIT = "split"
    """The original to the left of a line, the painting to its right."""

    @property
    def following(self) -> "View":
        """The next view, in a cycle."""
        views = list(View)
        return views[(views.index(self) + 1) % len(views)]


@dataclass(frozen=True)
class Controls(Finish):
    """The settings of one moment.

    A change makes a new object, so that each frame is painted with the same settings from beginning
    to end, whatever is pressed meanwhile. Raises UserError if a number is not from 0 to 1.
    """

    style: StyleSpec = parse_style(DEFAULT_STYLE)
    second_style: StyleSpec | None = None
    mix: float = 0.0
    """Share of the second style, from 0 to 1; with a mask, it paints the outside instead."""
    stroke: float = 0.5
    """Size of the strokes, from 0 (fine) to 1 (large)."""
    view: View = View.PAINTED
    split: float = 0.5
    """Position of the line of View.SPLIT, from 0 (left) to 1 (right)."""
    mirror: bool = False
    paused: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("stroke", "mix", "split"):
            check_share(name, getattr(self, name))
