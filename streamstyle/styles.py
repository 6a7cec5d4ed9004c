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
    read_card,
)
from engines import open_engine as open_model
from streamstyle.closing import Closing
from streamstyle.errors import UserError

DEFAULT_MODEL = "medium"

DEFAULT_STYLE = "starry-night"

CLASSIC_STYLE = "classic"
"""Johnson's net of the published width: what speeds are compared by."""


@cache
def shipped_models() -> dict[str, Path]:
    """The models that ship, by name."""
    return {path.stem: path for path in sorted(ZOO.glob("*.onnx"))}


def find_style(style: str | Path) -> tuple[ModelCard, int]:
    """The model that paints in `style`, and the style's number in it.

    A style is NAME, of the default model; MODEL:NAME, of another one that ships; or FILE.onnx:NAME,
    of a file of your own. MODEL or FILE.onnx alone is its first style.
    """
    model, name = _split(style)
    if model.endswith(".onnx"):
        card = read_card(Path(model))
    elif model in shipped_models():
        card = read_card(shipped_models()[model])
    else:
        raise UserError(
            f"no model {model}; there is {', '.join(shipped_models())}, or the path of a .onnx file"
        )
    names = [known.name for known in card.styles]
    if not name:
        return card, 0
    if name not in names:
        close = get_close_matches(name, names, n=1)
        hint = f"did you mean {close[0]}? It has" if close else "it has"
        raise UserError(f"{card.path.name} has no style {name}; {hint} {', '.join(names)}")
    return card, names.index(name)


def style_inputs(card: ModelCard, number: int) -> Style:
    """What has the model of `card` paint in that one of its styles alone."""
    count = len(card.styles)
    return {STYLE_WEIGHTS: np.eye(count, dtype=np.float32)[number]} if count > 1 else NO_STYLE


def styles_beside(style: str) -> tuple[list[str], int]:
    """All styles of the model that paints in `style`, to go through, and which of them that is."""
    card, number = find_style(style)
    model, _ = _split(style)
    prefix = "" if style in (known.name for known in card.styles) else f"{model}:"
    return [prefix + known.name for known in card.styles], number


def _split(style: str | Path) -> tuple[str, str]:
    """The model, and the style's name if one is given."""
    text = str(style)
    if match := re.fullmatch(r"(.+\.onnx)(?::(.+))?", text):
        return match[1], match[2] or ""
    if text in shipped_models():
        return text, ""
    model, _, name = text.rpartition(":")
    return model or DEFAULT_MODEL, name


class StyledEngine(Closing):
    """A model of many styles that paints in one of them unless told another; see `Engine`."""

    def __init__(self, engine: Engine, number: int) -> None:
        self.card = engine.card
        self.backend, self.device = engine.backend, engine.device
        self._engine = engine
        self._style = style_inputs(engine.card, number)

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
    """Open the engine that paints in `style`; see `find_style`, and `engines.open_engine` for the
    rest."""
    card, number = find_style(style)
    engine = open_model(card.path, backend, device, precision)
    return engine if len(card.styles) == 1 else StyledEngine(engine, number)
