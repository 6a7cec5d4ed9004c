"""Where frames come from."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from streamstyle.errors import UserError
from streamstyle.media.hwaccel import OFF, check_hwaccel
from streamstyle.sources.base import Source, SourceInfo, VideoFormat
from streamstyle.sources.images import StillSource
from streamstyle.sources.pattern import PREFIX, PatternSource
from streamstyle.sources.video import VideoSource

__all__ = [
    "Clip",
    "PatternSource",
    "Source",
    "SourceInfo",
    "StillSource",
    "VideoFormat",
    "VideoSource",
    "open_video",
]


@dataclass(frozen=True)
class Clip:
    """Which part of a video to take, and how."""

    start_seconds: Fraction | None = None
    """From here, after the video's beginning; None from its first frame."""
    duration_seconds: Fraction | None = None
    """For so long; None to the end."""
    tonemap: bool = False
    """Take HDR and bring it into standard range; otherwise it is refused."""
    hwaccel: str = OFF
    """What decodes: OFF for the processor, one of `hardware.DEVICES`, or AUTO for one that works;
    where none does, the processor, and the source's notes say so."""

    def __post_init__(self) -> None:
        if self.start_seconds is not None and self.start_seconds < 0:
            raise UserError(f"a start is 0 s or later, got {float(self.start_seconds)}")
        if self.duration_seconds is not None and self.duration_seconds <= 0:
            raise UserError(f"a duration is more than 0 s, got {float(self.duration_seconds)}")
        check_hwaccel(self.hwaccel)


def open_video(location: str, clip: Clip = Clip(), low_delay: bool = False) -> VideoSource:
    """Open a path, an address (anything with ://) or pattern:NAME.

    `low_delay` is for an address that is watched as it happens: it opens sooner, frames come out
    sooner, and silence counts as its end sooner.
    """
    if location.startswith(PREFIX):
        name = location.removeprefix(PREFIX)
        return PatternSource(name, clip.start_seconds, clip.duration_seconds)
    if "://" not in location and not Path(location).is_file():
        what = "is a folder, not a video" if Path(location).is_dir() else "does not exist"
        raise UserError(f"{location} {what}")
    return VideoSource(
        location,
        clip.start_seconds,
        clip.duration_seconds,
        clip.tonemap,
        low_delay=low_delay,
        hwaccel=clip.hwaccel,
    )
