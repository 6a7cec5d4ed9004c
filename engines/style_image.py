"""The style of a picture, for models that paint in any."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import openvino as ov

from engines.base import NO_STYLE, Frames, Style, check_inputs
from engines.card import ModelCard
from engines.errors import EngineError
from engines.openvino_backend import core
from engines.split import split


def style_of(card: ModelCard, picture: Frames) -> Style:
    """What the model of `card` needs of a picture, (1, H, W, 3), to paint in its style: as much
    more for a larger one, and as much slower to paint in, so scale it to about 256x256 before.

    It is computed by OpenVINO on the CPU, in float32, whatever then paints; it takes a tenth of a
    second, once for a style. Raises EngineError if the model takes no picture.
    """
    if not card.style_tensors:
        raise EngineError(f"{card.path.name} paints in styles of its own, not in a picture's")
    check_inputs(picture, NO_STYLE, frozenset())
    if len(picture) != 1:
        raise EngineError(f"a style is of one picture, got {len(picture)}")
    request = _compiled(card.path, card.sha256, card.style_tensors).create_infer_request()
    request.infer({"picture": np.require(picture, requirements=["C", "W"])})
    return {name: request.get_tensor(name).data.copy() for name in card.style_tensors}


@lru_cache(maxsize=2)
def _compiled(path: Path, _sha256: str, tensors: tuple[str, ...]) -> ov.CompiledModel:
    model = core().read_model(split(path, tensors)[0])
    return core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
