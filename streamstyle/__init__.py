"""Paint live video in the style of a picture.

`paint_video` and `paint_image` paint files, `LiveSession` paints what arrives, and `open_engine`
opens what paints single frames.

Examples:
    >>> import numpy as np
    >>> import streamstyle
    >>> with streamstyle.open_engine("small:great-wave") as engine:
    ...     painted = engine.paint(np.zeros((1, 48, 64, 3), np.uint8))  # (N, H, W, 3), RGB
    >>> painted.shape
    (1, 48, 64, 3)
"""

from importlib.metadata import version

from engines import Engine, EngineError
from streamstyle.api import ImageSettings, Region, Report, VideoSettings, paint_image, paint_video
from streamstyle.errors import UserError
from streamstyle.live.controls import Controls, View
from streamstyle.live.resolution_governor import Promise
from streamstyle.live.session import LiveSession
from streamstyle.live.status import Status
from streamstyle.painting.look import Look
from streamstyle.pipeline import Stats
from streamstyle.sinks import Encoding
from streamstyle.sources import Clip, open_live
from streamstyle.styles import StylePart, StyleSpec, open_engine, parse_style

__version__ = version("streamstyle")

__all__ = [
    "Clip",
    "Controls",
    "Encoding",
    "Engine",
    "EngineError",
    "ImageSettings",
    "LiveSession",
    "Look",
    "Promise",
    "Region",
    "Report",
    "Stats",
    "Status",
    "StylePart",
    "StyleSpec",
    "UserError",
    "VideoSettings",
    "View",
    "__version__",
    "open_engine",
    "open_live",
    "paint_image",
    "paint_video",
    "parse_style",
]
