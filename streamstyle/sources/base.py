"""The interface of every source of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

from streamstyle.frame import Frame
from streamstyle.media.color import Color


@dataclass(frozen=True)
class VideoFormat:
    """Properties of a video that a file sink needs to keep its timing and color."""

    time_base: Fraction
    """The tick of the timestamps, in seconds."""
    frame_rate: Fraction | None
    """Average frames per second; None if unknown. Never use it for timestamps."""
    sample_aspect_ratio: Fraction | None
    """Width divided by height of one pixel of the upright frames; None if unknown."""
    color: Color
    chroma: str
    """Color sampling of the file: "420", "422" or "444"."""


@dataclass(frozen=True)
class SourceInfo:
    """Properties of a source that are known before its frames are read."""

    name: str
    """Display name: a file name, an address or a pattern."""
    frames: int | None
    """Number of frames to come; an estimate for most files, None if unknown."""
    width: int | None
    """Width of the upright frames in pixels; None if it varies, as in a folder of photos."""
    height: int | None
    """Height of the upright frames in pixels; None if it varies."""
    video: VideoFormat | None
    """Format of the video; None for images, cameras and the screen."""


class Source(Protocol):
    """Frames of one input, in order. A source that fails to open leaves nothing open."""

    info: SourceInfo
    notes: list[str]
    """Notes for the user, complete when the source has ended; one sentence each."""

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames up to the end of the input. The receiver owns each frame's image."""

    def close(self) -> None:
        """Close the input. A second call does nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
