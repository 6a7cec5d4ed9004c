"""Paint live video in the style of a picture."""

from engines import Engine, EngineError
from streamstyle.api import Region, Report, paint_image, paint_video
from streamstyle.errors import UserError
from streamstyle.painting.painter import Look
from streamstyle.sinks import Encoding
from streamstyle.sources import Clip
from streamstyle.styles import StylePart, StyleSpec, open_engine, parse_style

__all__ = [
    "Clip",
    "Encoding",
    "Engine",
    "EngineError",
    "Look",
    "Region",
    "Report",
    "StylePart",
    "StyleSpec",
    "UserError",
    "open_engine",
    "paint_image",
    "paint_video",
    "parse_style",
]
