"""The interface of every source of frames."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Protocol, Self

from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.media.color import Color
from streamstyle.media.deinterlace import AUTO, check_deinterlace
from streamstyle.media.hwaccel import OFF, check_hwaccel


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
class Clip:
    """The part of a video to take, and how to decode it."""

    start_seconds: Fraction | None = None
    """Start, counted from the beginning of the video; None for its first frame."""
    duration_seconds: Fraction | None = None
    """Length of the part; None for all up to the end."""
    tonemap: bool = False
    """Accept HDR and map it to standard range; otherwise HDR is refused."""
    hwaccel: str = OFF
    """Where to decode: OFF for the CPU, one of `hwaccel.DEVICES`, or AUTO for one that works.

    If none works, the CPU decodes, and the source's notes say so.
    """

    deinterlace: str = AUTO
    """One of `deinterlace.MODES`: AUTO makes whole pictures of interlaced ones."""

    def __post_init__(self) -> None:
        if self.start_seconds is not None and self.start_seconds < 0:
            raise UserError(f"a start must be 0 s or later, got {float(self.start_seconds)}")
        if self.duration_seconds is not None and self.duration_seconds <= 0:
            raise UserError(f"a duration must be more than 0 s, got {float(self.duration_seconds)}")
        check_hwaccel(self.hwaccel)
        check_deinterlace(self.deinterlace)


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

    @property
    def pixel_aspect(self) -> Fraction:
        """Width divided by height of one pixel of the upright frames; 1 if nothing states it."""
        stated = None if self.video is None else self.video.sample_aspect_ratio
        return stated or Fraction(1)


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
