"""Styles: the models that ship, the parsing of style texts, and the inputs that models take."""

from streamstyle.styles.catalog import (
    CLASSIC_STYLE,
    DEFAULT_MODEL,
    DEFAULT_STYLE,
    PICTURE_MODEL,
    card_of,
    shipped_models,
)
from streamstyle.styles.engine import (
    StyledEngine,
    engine_label,
    has_regions,
    open_engine,
    regional_styles,
)
from streamstyle.styles.inputs import (
    at_stroke,
    find_style,
    mixes,
    read_picture,
    read_strokes,
    read_style,
    style_of_dropped,
    styles_beside,
    takes_levels,
)
from streamstyle.styles.spec import (
    StylePart,
    StyleSpec,
    as_spec,
    asked_for,
    names_picture,
    parse_style,
)

__all__ = [
    "CLASSIC_STYLE",
    "DEFAULT_MODEL",
    "DEFAULT_STYLE",
    "PICTURE_MODEL",
    "StylePart",
    "StyleSpec",
    "StyledEngine",
    "as_spec",
    "asked_for",
    "at_stroke",
    "card_of",
    "engine_label",
    "find_style",
    "has_regions",
    "mixes",
    "names_picture",
    "open_engine",
    "parse_style",
    "read_picture",
    "read_strokes",
    "read_style",
    "regional_styles",
    "shipped_models",
    "style_of_dropped",
    "styles_beside",
    "takes_levels",
]
