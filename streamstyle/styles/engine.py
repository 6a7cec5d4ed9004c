"""Engines that paint in one style unless told another."""

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
    """A model of many styles that paints in one unless told another; see `Engine`."""

    def __init__(self, engine: Engine, style: Style) -> None:
        super().__init__(engine)
        self.style: Style = style

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        self._engine.prepare(height, width, batch, style or self.style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        return self._engine.run(frames, style or self.style)


def regional_styles(inside: Engine, outside: Engine) -> tuple[Style, Style] | None:
    """The styles of two engines, if one of them can paint both in one pass; see
    `engines.in_regions`.
    """
    if not isinstance(inside, StyledEngine) or not isinstance(outside, StyledEngine):
        return None
    if inside.card.sha256 != outside.card.sha256 or inside.style.keys() != outside.style.keys():
        return None
    if not has_regions(inside.card, inside.style):
        return None
    return inside.style, outside.style


def has_regions(card: ModelCard, style: Style) -> bool:
    """Whether a model can paint such styles, each in a region, in one pass: at one level. The
    seam that a deeper level has made soft would be a halo at the next.
    """
    return bool(card.parts) and len({name.partition("/")[0] for name in style}) == 1


def open_engine(
    style: str | Path | StyleSpec = DEFAULT_STYLE,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Engine:
    """Open the engine that paints in `style`, which is a `StyleSpec` or what `parse_style` takes;
    see `engines.open_engine` for the rest. Raises UserError or EngineError if it can't be had.
    """
    card, inputs = read_style(as_spec(style))
    engine = open_model(card.path, backend, device, precision)
    return StyledEngine(engine, inputs) if inputs else engine
