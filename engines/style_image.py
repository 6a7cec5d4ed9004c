"""The style of a picture, for models that paint in any."""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import openvino as ov

from engines import wct
from engines.base import NO_STYLE, STYLE_WEIGHTS, Frames, Style, check_inputs
from engines.card import ModelCard
from engines.errors import EngineError
from engines.openvino_backend import core
from engines.parts import PICTURE, cut_out, split


def takes_pictures(card: ModelCard) -> bool:
    """Whether the model paints in the style of any picture, rather than in styles of its own."""
    return card.family == wct.WCT or bool(card.style_tensors)


def style_of(
    card: ModelCard,
    picture: Frames,
    levels: Sequence[str] = wct.DEFAULT_LEVELS,
    alpha: float = 1.0,
) -> Style:
    """What the model of `card` needs of a picture, (1, H, W, 3), to paint in its style.

    `levels` and `alpha` are for WCT. It is computed by OpenVINO on the CPU, in float32, whatever
    then paints, once for a style. Raises EngineError if the model takes no picture.
    """
    if not takes_pictures(card):
        raise EngineError(f"{card.path.name} paints in styles of its own, not in a picture's")
    check_inputs(picture, NO_STYLE, ())
    if len(picture) != 1:
        raise EngineError(f"a style is of one picture, got {len(picture)}")
    if card.style_tensors:
        return {**_no_named_style(card), **_style_tensors(card, picture)}
    return wct.style_of(card, partial(statistics_at, card, picture), levels, alpha)


def statistics_at(card: ModelCard, picture: Frames, level: str) -> wct.Statistics:
    compiled = _compiled(card.path, card.sha256, level)
    request = compiled.create_infer_request()
    inputs = {"frame": picture, "masks": wct.WHOLE}
    request.infer({name: np.require(a, requirements=["C", "W"]) for name, a in inputs.items()})
    return wct.statistics_in(
        {name: request.get_tensor(name).data.copy() for name in wct.STATISTICS}
    )


def _no_named_style(card: ModelCard) -> Style:
    """Weights of zero for the styles that the model knows by name."""
    rows = len(card.styles) * len(card.strokes)
    return {STYLE_WEIGHTS: np.zeros(rows, np.float32)} if rows else NO_STYLE


def _style_tensors(card: ModelCard, picture: Frames) -> Style:
    request = _compiled_half(card.path, card.sha256, card.style_tensors).create_infer_request()
    request.infer({PICTURE: np.require(picture, requirements=["C", "W"])})
    return {name: request.get_tensor(name).data.copy() for name in card.style_tensors}


@lru_cache(maxsize=2)
def _compiled_half(path: Path, _sha256: str, tensors: tuple[str, ...]) -> ov.CompiledModel:
    model = core().read_model(split(path, tensors)[0])
    return core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


@lru_cache(maxsize=8)
def _compiled(path: Path, _sha256: str, level: str) -> ov.CompiledModel:
    """Of any size: what is computed once for a style need not be compiled for its size."""
    model = core().read_model(cut_out(path, level, wct.STATISTICS))
    return core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
