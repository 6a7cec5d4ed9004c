"""The styles that ship, and the model that paints in each."""

from difflib import get_close_matches
from functools import cache
from pathlib import Path

from engines import ZOO, Engine, ModelCard, StyleCard, read_card
from engines import open_engine as open_model
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
    """The model for a style that ships, by its name, or for a path to an ONNX file of your own."""
    if isinstance(style, Path) or style.endswith(".onnx"):
        return read_card(Path(style))
    models = models_by_style()
    if style not in models:
        close = get_close_matches(style, models, n=1)
        hint = f"did you mean {close[0]}? There is" if close else "there is"
        raise UserError(
            f"no style {style}; {hint} {', '.join(models)}, or the path of a .onnx file"
        )
    return models[style]


def open_engine(
    style: str | Path = DEFAULT_STYLE,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Engine:
    """Open the engine that paints in `style`: a name that `streamstyle styles` lists, or the path
    of an ONNX file made by streamstyle-export. See `engines.open_engine` for the rest."""
    return open_model(find_model(style).path, backend, device, precision)
