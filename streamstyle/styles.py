"""The styles that ship, and the model that paints in each."""

import re
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import numpy as np

from engines import (
    NO_STYLE,
    STYLE_WEIGHTS,
    ZOO,
    Engine,
    Frames,
    ModelCard,
    Style,
    StyleCard,
    read_card,
)
from engines import open_engine as open_model
from streamstyle.closing import Closing
from streamstyle.errors import UserError

DEFAULT_STYLE = "starry-night"

CLASSIC_STYLE = "starry-night-classic"
"""A net of the published width, two and a half times the work: what speeds are compared by."""


@cache
def models_by_style() -> dict[str, ModelCard]:
    """The card of the model that paints in each style that ships, by the style's name."""
    cards = [read_card(path) for path in sorted(ZOO.glob("*.onnx"))]
    return {style.name: card for card in cards for style in card.styles}


def style_card(name: str) -> StyleCard:
    return next(style for style in find_model(name).styles if style.name == name)


def find_model(style: str | Path) -> ModelCard:
    """The model for a style; see `find_style`."""
    return find_style(style)[0]


def find_style(style: str | Path) -> tuple[ModelCard, int]:
    """The model that paints in `style`, and the style's number in it: a style that ships, by its
    name; the first one of an ONNX file of your own, FILE.onnx; or any of its, FILE.onnx:NAME."""
    if match := re.fullmatch(r"(.+\.onnx)(?::(.+))?", str(style)):
        file, name = match.groups()
        card = read_card(Path(file))
        return card, _number(card, name) if name else 0
    models = models_by_style()
    if style not in models:
        close = get_close_matches(str(style), models, n=1)
        hint = f"did you mean {close[0]}? There is" if close else "there is"
        raise UserError(
            f"no style {style}; {hint} {', '.join(models)}, or the path of a .onnx file"
        )
    card = models[str(style)]
    return card, _number(card, str(style))


def _number(card: ModelCard, name: str) -> int:
    names = [style.name for style in card.styles]
    if name not in names:
        raise UserError(f"{card.path.name} has no style {name}; it has {', '.join(names)}")
    return names.index(name)


class StyledEngine(Closing):
    """A model of many styles that paints in one of them unless told another; see `Engine`."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.card = engine.card
        self.backend, self.device = engine.backend, engine.device
        self._engine = engine
        self._style = {STYLE_WEIGHTS: np.eye(len(engine.card.styles), dtype=np.float32)[number]}

    @property
    def precision(self) -> str:
        return self._engine.precision

    def prepare(self, height: int, width: int, batch: int = 1) -> None:
        self._engine.prepare(height, width, batch)

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        return self._engine.paint(frames, style or self._style)

    def close(self) -> None:
        self._engine.close()


def open_engine(
    style: str | Path = DEFAULT_STYLE,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Engine:
    """Open the engine that paints in `style`: a name that `streamstyle styles` lists, or the path
    of an ONNX file made by streamstyle-export, FILE.onnx or FILE.onnx:NAME. See
    `engines.open_engine` for the rest."""
    card, number = find_style(style)
    engine = open_model(card.path, backend, device, precision)
    return engine if len(card.styles) == 1 else StyledEngine(engine, number)
