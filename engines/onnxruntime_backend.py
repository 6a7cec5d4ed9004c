"""onnxruntime: GPUs by CUDA, TensorRT, CoreML or DirectML, and any CPU."""

import contextlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from engines.base import NO_STYLE, BaseEngine, Frames, Style, check_inputs
from engines.card import ModelCard
from engines.diagnosis import cuda_problem, preload_cuda, preload_tensorrt, tensorrt_problem
from engines.errors import EngineError
from engines.parts import graph_of

NAME = "onnxruntime"
TENSORRT = "tensorrt"

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""By device, the fastest first."""

_TENSORRT_PROVIDER = "TensorrtExecutionProvider"
_TENSORRT_PRECISIONS = {"fp32": {}, "fp16": {"trt_fp16_enable": True}}
_TENSORRT_CACHE = Path.home() / ".cache" / "streamstyle" / "tensorrt"


def devices() -> list[str]:
    """The devices this build of onnxruntime was made for; whether they start is another matter."""
    available = ort.get_available_providers()
    return [device for device, provider in PROVIDERS.items() if provider in available]


class OnnxRuntimeEngine(BaseEngine):
    """A model on one of onnxruntime's devices; see `engines.base.Engine`."""

    backend = NAME

    def __init__(self, card: ModelCard, part: str | None, device: str, precision: str) -> None:
        if precision not in ("auto", "fp32"):
            raise EngineError(f"onnxruntime computes in fp32 here, not in {precision}")
        self.card = card
        self.precision = "fp32"
        if device == "auto":
            self.device, self._session = _first_that_starts(graph_of(card, part))
        else:
            self.device, self._session = device, _start(graph_of(card, part), device)
        self.style_inputs = _style_inputs(self._session)

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        """Every size runs on one session; only a GPU sets something up with the first frame."""
        if self.device == "cpu":
            return
        shapes = self.style_inputs.items()
        style = style or {name: np.zeros(shape, np.float32) for name, shape in shapes}
        self.paint(np.zeros((batch, height, width, 3), np.uint8), style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        if self._session is None:
            raise EngineError("this engine is closed")
        check_inputs(frames, style, self.style_inputs)
        names = [argument.name for argument in self._session.get_outputs()]
        arrays = self._session.run(names, {"frame": frames, **style})
        return dict(zip(names, arrays, strict=True))

    def close(self) -> None:
        self._session = None


class TensorRtEngine(OnnxRuntimeEngine):
    """TensorRT by way of onnxruntime, which builds and keeps a plan for each size it meets."""

    backend = TENSORRT

    def __init__(self, card: ModelCard, part: str | None, device: str, precision: str) -> None:
        if device not in ("auto", "cuda"):
            raise EngineError(f"TensorRT runs on cuda, not on {device}")
        self.precision = "fp32" if precision == "auto" else precision
        if self.precision not in _TENSORRT_PRECISIONS:
            raise EngineError(
                f"TensorRT runs in {' or '.join(_TENSORRT_PRECISIONS)} here, not in {precision}"
            )
        if (problem := tensorrt_problem()) is not None:
            raise EngineError(str(problem))
        self.card = card
        self.device = "cuda"
        preload_cuda()
        preload_tensorrt()
        # onnxruntime names the plans by size, GPU and its own version, not by what is in the model.
        cache = _TENSORRT_CACHE / card.sha256[:16] / (part or "") / self.precision
        options = {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(cache),
            **_TENSORRT_PRECISIONS[self.precision],
        }
        self._session = _session(
            graph_of(card, part), [(_TENSORRT_PROVIDER, options), PROVIDERS["cuda"]]
        )
        if _TENSORRT_PROVIDER not in self._session.get_providers():
            raise EngineError("onnxruntime could not start TensorRT and does not say why")
        self.style_inputs = _style_inputs(self._session)


def _first_that_starts(graph: Path | bytes) -> tuple[str, ort.InferenceSession]:
    for device in devices():
        with contextlib.suppress(EngineError):
            return device, _start(graph, device)
    raise EngineError("onnxruntime starts on no device here, not even on the CPU")


def _start(graph: Path | bytes, device: str) -> ort.InferenceSession:
    """A session that really runs on `device`: onnxruntime itself would fall back in silence."""
    if device == "cuda" and (problem := cuda_problem()) is not None:
        raise EngineError(str(problem))
    if device not in devices():
        raise EngineError(f"this onnxruntime has no device {device}; it has {', '.join(devices())}")
    session = _session(graph, [PROVIDERS[device]])
    if session.get_providers()[0] != PROVIDERS[device]:
        raise EngineError(
            f"onnxruntime could not start {device} and would run on the CPU; "
            "streamstyle doctor says more, --device cpu accepts it"
        )
    return session


def _session(graph: Path | bytes, providers: list[Any]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors; its warnings are about placement of tiny nodes
    # Its threads would burn the cores after each frame, which decoding and encoding need; on two
    # cores the frame itself is no slower without.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # What does not start is reported above in one sentence, so not on stdout as well.
    with contextlib.redirect_stdout(io.StringIO()):
        return ort.InferenceSession(graph, options, providers=providers)


def _style_inputs(session: ort.InferenceSession) -> dict[str, tuple[int, ...]]:
    return {
        port.name: tuple(side if isinstance(side, int) else 1 for side in port.shape)
        for port in session.get_inputs()
        if port.name != "frame"
    }
