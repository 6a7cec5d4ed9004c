"""Engines with a default style."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from engines import NO_STYLE, Engine, Frames, ModelCard, Style, WrappedEngine
from engines import open_engine as open_model
from streamstyle.styles.catalog import DEFAULT_STYLE
from streamstyle.styles.inputs import read_style
from streamstyle.styles.spec import StyleSpec, as_spec


class StyledEngine(WrappedEngine):
    """An engine that paints in its own style when a call gives none; see `Engine`."""

    def __init__(self, engine: Engine, style: Style) -> None:
        super().__init__(engine)
        self.style: Style = style

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        self._engine.prepare(height, width, batch, style or self.style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        return self._engine.run(frames, style or self.style)


def regional_styles(inside: Engine, outside: Engine) -> tuple[Style, Style] | None:
    """Return both engines' styles if one engine can paint them in one pass, else None.

    The styles are in the order (inside, outside), as `engines.in_regions` takes them.
    """
    if not isinstance(inside, StyledEngine) or not isinstance(outside, StyledEngine):
        return None
    if inside.card.sha256 != outside.card.sha256 or inside.style.keys() != outside.style.keys():
        return None
    if not has_regions(inside.card, inside.style):
        return None
    return inside.style, outside.style


def has_regions(card: ModelCard, style: Style) -> bool:
    """Return whether a model can paint styles like `style`, each in a region, in one pass.

    The model must have parts, and the style a single level: the seam that a deeper level softens
    would become a halo at the next level.
    """
    return bool(card.parts) and len({name.partition("/")[0] for name in style}) == 1


def open_engine(
    style: str | Path | StyleSpec = DEFAULT_STYLE,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Engine:
    """Open an engine that paints in `style`, a `StyleSpec` or a text for `parse_style`.

    For the other arguments see `engines.open_engine`. Raises UserError or EngineError if the style
    can't be read or the engine can't be opened.
    """
    card, inputs = read_style(as_spec(style))
    engine = open_model(card.path, backend, device, precision)
    return StyledEngine(engine, inputs) if inputs else engine


def engine_label(engine: Engine) -> str:
    """Return what an engine runs on, such as "openvino on cpu in int8"."""
    return f"{engine.backend} on {engine.device.lower()} in {engine.precision}"
