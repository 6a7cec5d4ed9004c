"""Paint live video in the style of a picture.

>>> import streamstyle
>>> style = streamstyle.parse_style("great-wave")
>>> with streamstyle.open_engine(style) as engine:  # doctest: +SKIP
...     report = streamstyle.paint_video("in.mp4", "out.mp4", engine=engine)
...     print(report.stats.fps, report.notes)
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
