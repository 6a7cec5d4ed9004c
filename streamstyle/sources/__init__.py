"""Sources of frames: videos, images, cameras, the screen and patterns."""

from streamstyle.sources.base import Clip, Source, SourceInfo, VideoFormat
from streamstyle.sources.images import StillSource
from streamstyle.sources.open import open_live, open_video
from streamstyle.sources.pattern import PatternSource
from streamstyle.sources.video import VideoSource

__all__ = [
    "Clip",
    "PatternSource",
    "Source",
    "SourceInfo",
    "StillSource",
    "VideoFormat",
    "VideoSource",
    "open_live",
    "open_video",
]
