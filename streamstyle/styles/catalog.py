"""The models that ship."""

from functools import cache
from pathlib import Path

from engines import ZOO, ModelCard, read_card
from streamstyle.errors import UserError

DEFAULT_MODEL = "medium"

DEFAULT_STYLE = "starry-night"

PICTURE_MODEL = "wct"
"""What paints in the style of a picture, unless told another."""

CLASSIC_STYLE = "classic"
"""Johnson's net of the published width: what speeds are compared by."""


@cache
def shipped_models() -> dict[str, Path]:
    """The models that ship, by name."""
    return {path.stem: path for path in sorted(ZOO.glob("*.onnx"))}


def card_of(model: str) -> ModelCard:
    """The card of a model that ships, by its name, or of a .onnx file. Raises UserError or
    EngineError if there is none.
    """
    if model.endswith(".onnx"):
        return read_card(Path(model))
    if model in shipped_models():
        return read_card(shipped_models()[model])
    raise UserError(
        f"no model {model}; there is {', '.join(shipped_models())}, or the path of a .onnx file"
    )
