"""The models that ship with streamstyle, and the default model and style."""

from functools import cache
from pathlib import Path

from engines import ZOO, ModelCard, read_card
from streamstyle.errors import UserError

DEFAULT_MODEL = "medium"

DEFAULT_STYLE = "starry-night"

PICTURE_MODEL = "wct"
"""Model that paints in the style of a picture unless another model is named."""

CLASSIC_STYLE = "classic"
"""Johnson's network at its published width: the reference for speed comparisons."""


@cache
def shipped_models() -> dict[str, Path]:
    """Return the file of each model that ships, by model name."""
    return {path.stem: path for path in sorted(ZOO.glob("*.onnx"))}


def card_of(model: str) -> ModelCard:
    """Return the card of a model that ships, given by its name, or of a .onnx file.

    Raises UserError if no model has this name, and EngineError if the file can't be read.
    """
    if model.endswith(".onnx"):
        return read_card(Path(model))
    if model in shipped_models():
        return read_card(shipped_models()[model])
    raise UserError(
        f"no model {model}; choose {', '.join(shipped_models())} or the path of a .onnx file"
    )
