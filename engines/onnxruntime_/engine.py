"""The onnxruntime engine: GPUs with CUDA, TensorRT, CoreML or DirectML, and any CPU."""

import contextlib
import io
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_state

from engines.availability import cuda_problem, onnxruntime_tensorrt_problem
from engines.base import NO_STYLE, BaseEngine, Frames, Style, check_inputs
from engines.device_names import kind_and_number
from engines.errors import EngineError, library_errors
from engines.fp16 import CONVOLUTIONS, OPERATORS, in_half
from engines.graphs import Port
from engines.model_card import ModelCard
from engines.onnxruntime_.buffers import Buffers
from engines.subgraphs import graph_of
from engines.tensorrt_ import plan_cache

NAME = "onnxruntime"
TENSORRT = "tensorrt"

PROVIDERS = {
    "cuda": "CUDAExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
    "cpu": "CPUExecutionProvider",
    TENSORRT: "TensorrtExecutionProvider",
}
"""Execution provider of each device, the fastest first.

TensorRT comes last, because only users who ask for it should wait minutes for the first frame.
"""

_PRECISIONS = {"cuda": ("fp32", "fp16"), TENSORRT: ("fp32", "fp16")}
"""Precisions of each device; only fp32 for devices that are not listed.

In fp32, GPUs with TF32 multiply in TF32, which is the default of NVIDIA's libraries. Its mantissa
is as long as half precision's.
"""

_MEMORY = {"cuda": "cuda", TENSORRT: "cuda"}
"""Memory that holds a device's buffers; the CPU's for devices that are not listed."""

_AT_ONCE = {"cuda": 2}
"""Frames in work at the same time on each device: one is copied while another is computed.

Devices that are not listed gain nothing from it: TensorRT's provider runs one frame at a time.
"""

_NUMBERED = ("cuda", "directml", TENSORRT)
"""Devices that a machine may have several of."""

_GRAPHS_HALVED = OPERATORS[CONVOLUTIONS]
"""Types of operators in half precision in a graph whose error nobody has measured."""

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(float16)": np.float16}

_PROBLEMS = {"cuda": cuda_problem, TENSORRT: onnxruntime_tensorrt_problem}


_errors = partial(
    library_errors,
    # Its errors have no common base but Exception.
    kinds=(
        MemoryError,
        RuntimeError,
        *(kind for kind in vars(ort_state).values()
          if isinstance(kind, type) and issubclass(kind, Exception)),
    ),
)  # fmt: skip


def devices() -> list[str]:
    """Return the devices that this build of onnxruntime supports, even if they may not start."""
    available = ort.get_available_providers()
    return [device for device, provider in PROVIDERS.items() if provider in available]


class OnnxRuntimeEngine(BaseEngine):
    """A model on one of onnxruntime's devices; see `engines.base.Engine`."""

    backend = NAME

    def __init__(self, card: ModelCard, part: str | None, device: str, precision: str) -> None:
        self.card = card
        self.precision = "fp32" if precision == "auto" else precision
        start = _first_that_starts if device == "auto" else _start
        self.device, self._session = start(card, part, device, self.precision)
        self.style_inputs = _style_inputs(self._session)

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        """Prepare a GPU for frames of this size; one session runs every size, so a CPU is ready."""
        if self.device == "cpu":
            return
        shapes = self.style_inputs.items()
        style = style or {name: np.zeros(shape, np.float32) for name, shape in shapes}
        self._buffers.prepare({"frame": np.zeros((batch, height, width, 3), np.uint8), **style})

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        check_inputs(frames, style, self.style_inputs)
        with _errors(f"onnxruntime can't paint with {self.card.path.name}"):
            return self._buffers.run({"frame": frames, **style})

    def set_concurrency(self, threads: int) -> int:
        return min(threads, _AT_ONCE.get(kind_and_number(NAME, self.device, _NUMBERED)[0], 1))

    def close(self) -> None:
        self._session = None
        self.__dict__.pop("_buffers", None)

    @cached_property
    def _buffers(self) -> Buffers:
        if self._session is None:
            raise EngineError("this engine is closed")
        kind, number = kind_and_number(NAME, self.device, _NUMBERED)
        return Buffers(self._session, _MEMORY.get(kind, "cpu"), number)


def _tensorrt_options(card: ModelCard, part: str | None, precision: str) -> dict[str, Any]:
    """Return options that keep plans, one for each size, and the timings they were chosen by."""
    # onnxruntime names plans after size, GPU and its own version, not after the model's contents.
    cache = str(plan_cache.FOLDER / card.sha256[:16] / (part or "") / precision)
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": cache,
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": cache,
        "trt_fp16_enable": precision == "fp16",
    }


def _first_that_starts(
    card: ModelCard, part: str | None, _device: str, precision: str
) -> tuple[str, ort.InferenceSession]:
    reasons = []
    for device in devices():
        try:
            return _start(card, part, device, precision)
        except EngineError as error:
            reasons.append(str(error))
    raise EngineError(f"onnxruntime starts on no device here ({'; '.join(reasons)})")


def _start(
    card: ModelCard, part: str | None, device: str, precision: str
) -> tuple[str, ort.InferenceSession]:
    """Return `device` and the engine's session on it."""
    options = _tensorrt_options(card, part, precision)
    session = start_session(
        partial(graph_of, card, part), device, precision, OPERATORS[card.half], options
    )
    return device, session


def start_session(
    load: Callable[[], Path | bytes],
    device: str,
    precision: str,
    halved: Collection[str],
    tensorrt_options: Mapping[str, Any],
) -> ort.InferenceSession:
    """Return a session that really runs on `device`; onnxruntime itself would silently fall back.

    `load` returns the graph. In fp16, its operators of the types `halved` are computed in half
    precision. Raises EngineError if the device can't be used or lacks the precision.
    """
    kind, number = kind_and_number(NAME, device, _NUMBERED)
    able = _PRECISIONS.get(kind, ("fp32",))
    if kind in PROVIDERS and precision not in able:
        raise EngineError(
            f"onnxruntime computes in {' or '.join(able)} here, not in {precision}, on {device}"
        )
    problem_of = _PROBLEMS.get(kind)
    if problem_of is not None and (problem := problem_of()) is not None:
        raise EngineError(str(problem))
    if kind not in devices():
        raise EngineError(f"this onnxruntime has no device {device}; it has {', '.join(devices())}")
    graph = load()
    which = {"device_id": number} if kind in _NUMBERED else {}
    providers: list[Any] = [(PROVIDERS[kind], which)]
    if kind == TENSORRT:  # with CUDA for operators that TensorRT lacks
        providers = [
            (PROVIDERS[kind], {**which, **tensorrt_options}),
            (PROVIDERS["cuda"], which),
        ]
    elif precision == "fp16":
        graph = in_half(graph, halved)
    name = graph.name if isinstance(graph, Path) else "a part of the model"
    with _errors(f"onnxruntime can't read {name}"):
        session = _session(graph, providers)
    if session.get_providers()[0] != PROVIDERS[kind]:
        raise EngineError(
            f"onnxruntime could not start {device} and would run on the CPU; "
            "run streamstyle doctor to see why, or give --device cpu"
        )
    return session


class OnnxRuntimeGraph:
    """A graph on one of onnxruntime's devices; see `engines.graphs.Graph`."""

    def __init__(self, graph: Path | bytes, device: str, precision: str, any_size: bool) -> None:
        """Open the graph; one session runs every size.

        Raises EngineError if the graph can't be read or the device can't be used.
        """
        precision = "fp16" if precision == "fp16" else "fp32"  # the two that it can run in
        self._session = start_session(
            lambda: graph, "cpu" if device == "auto" else device, precision, _GRAPHS_HALVED, {}
        )
        self.inputs = {}
        for port in self._session.get_inputs():
            if port.type not in _TYPES:
                raise EngineError(f"the input {port.name} is of an unknown type, {port.type}")
            shape = tuple(side if isinstance(side, int) else 0 for side in port.shape)
            self.inputs[port.name] = Port(shape, np.dtype(_TYPES[port.type]))
        self._outputs = [port.name for port in self._session.get_outputs()]

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        with _errors("onnxruntime can't run the network"):
            outputs = self._session.run(None, dict(inputs))
        return dict(zip(self._outputs, outputs, strict=True))


def _session(graph: Path | bytes, providers: list[Any]) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3  # errors only; its warnings are about where tiny nodes run
    # Spinning threads would keep the cores busy after each frame, when decoding and encoding need
    # them. Without spinning, the frame itself is no slower on two cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # start_session reports in one sentence what does not start, so nothing is printed here.
    with contextlib.redirect_stdout(io.StringIO()):
        return ort.InferenceSession(graph, options, providers=providers)


def _style_inputs(session: ort.InferenceSession) -> Mapping[str, tuple[int, ...]]:
    return {
        port.name: tuple(side if isinstance(side, int) else 1 for side in port.shape)
        for port in session.get_inputs()
        if port.name != "frame"
    }
