"""Engines paint frames with a model, on whatever hardware this machine has."""

from pathlib import Path

from engines.base import (
    MIN_SIDE,
    NO_STYLE,
    STYLE_WEIGHTS,
    BaseEngine,
    Engine,
    Frames,
    Style,
    WrappedEngine,
)
from engines.errors import EngineError
from engines.graphs import Placement
from engines.model_card import STYLE_ROW, ModelCard, StyleCard, read_card
from engines.registry import BACKENDS, PRECISIONS, open_engine, open_part
from engines.style_encoder import style_of, takes_pictures
from engines.wct.transform import DEFAULT_LEVELS, in_regions

__all__ = [
    "BACKENDS",
    "DEFAULT_LEVELS",
    "MIN_SIDE",
    "NO_STYLE",
    "PRECISIONS",
    "STYLE_ROW",
    "STYLE_WEIGHTS",
    "ZOO",
    "BaseEngine",
    "Engine",
    "EngineError",
    "Frames",
    "ModelCard",
    "Placement",
    "Style",
    "StyleCard",
    "WrappedEngine",
    "in_regions",
    "open_engine",
    "open_part",
    "read_card",
    "style_of",
    "takes_pictures",
]

ZOO = Path(__file__).parent / "zoo"
"""Folder of the models that ship with streamstyle."""
