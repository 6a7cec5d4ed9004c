"""Sinks for painted frames: videos, images, streams and a virtual camera."""

from streamstyle.media.encoders import Encoding
from streamstyle.sinks.base import Sink
from streamstyle.sinks.images import ImageSink
from streamstyle.sinks.null import NullSink
from streamstyle.sinks.video import VideoSink

__all__ = ["Encoding", "ImageSink", "NullSink", "Sink", "VideoSink"]
