"""What every source of frames is."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

from streamstyle.frame import Frame
from streamstyle.media.color import Color


@dataclass(frozen=True)
class VideoFormat:
    """What a file sink needs to know to write a video as it came."""

    time_base: Fraction
    """The tick of the timestamps, in seconds."""
    frame_rate: Fraction | None
    """Average; None where nobody knows. Never to be used for timestamps."""
    sample_aspect_ratio: Fraction | None
    """Width to height of one pixel, as the frames stand (upright); None where nobody says."""
    color: Color
    chroma: str
    """"420", "422" or "444": how densely the file samples color."""


@dataclass(frozen=True)
class SourceInfo:
    name: str
    """For people: a file's name, an address, a pattern."""
    frames: int | None
    """How many are to come; an estimate for most files, None where nobody knows."""
    width: int | None
    """Width of the upright frames; None where they differ, as in a folder of photos."""
    height: int | None
    video: VideoFormat | None
    """None for still images."""


class Source(Protocol):
    """Frames in their order. Opening it is all or nothing."""

    info: SourceInfo
    notes: list[str]
    """What the user should know when it has ended; one sentence each."""

    def __iter__(self) -> Iterator[Frame]:
        """Ends at the end of the input. Each frame's image belongs to who receives it."""

    def close(self) -> None:
        """Let go of the input. Harmless when repeated."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
