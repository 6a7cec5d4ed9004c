"""Paint live video in the style of a picture."""

from contextlib import suppress

from engines import Engine, EngineError

# OpenCV before PyAV: the wheels of both bring a libxcb-shm under one name, the first to come is
# used by both, and with PyAV's the window hangs.
with suppress(ImportError):  # see pixels.py
    import cv2 as _cv2  # noqa: F401

from streamstyle.errors import UserError
from streamstyle.paint import Report, paint_image, paint_video
from streamstyle.painter import Look
from streamstyle.sinks import Encoding
from streamstyle.sources import Clip
from streamstyle.styles import open_engine

__all__ = [
    "Clip",
    "Encoding",
    "Engine",
    "EngineError",
    "Look",
    "Report",
    "UserError",
    "open_engine",
    "paint_image",
    "paint_video",
]
