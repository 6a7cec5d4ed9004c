"""The OpenVINO engine: for CPUs, and for Intel's GPUs and NPUs when asked for by name."""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines.base import MIN_SIDE, NO_STYLE, BaseEngine, Frames, Style, check_inputs
from engines.errors import EngineError, library_errors
from engines.graphs import Port
from engines.model_card import MOST_NODES, ModelCard
from engines.openvino_.int8 import quantise
from engines.subgraphs import graph_of

NAME = "openvino"

Shapes = tuple[tuple[str, tuple[int, ...]], ...]
"""Name and shape of each input."""

KEPT_SIZES = 8
"""Number of sizes for which a compiled model is kept.

A graph of fixed size is a third faster than one of dynamic size and compiles in about 0.2 s. A
folder of photos alternates between a few sizes, and a live session uses six.
"""

PRECISIONS = {"fp32": "f32", "fp16": "f16", "bf16": "bf16"}
INT8 = "int8"
"""Convolutions in 8 bits; everything else in the device's default precision."""

FOUR_PATCHES = (MIN_SIDE, MIN_SIDE)
"""(height, width) of frames that have four patches.

With four patches, OpenVINO's attention in bfloat16 gives other numbers each time; with six, it
gives the right ones.
"""

_CAPABILITIES = {"fp32": "FP32", "fp16": "FP16", "bf16": "BF16", INT8: "INT8"}


_errors = partial(library_errors, kinds=(RuntimeError, MemoryError))


@cache
def core() -> ov.Core:
    """Return the OpenVINO core of this process, which is kept until the process ends.

    When OpenVINO unloads its CPU plugin, with the last engine, it frees the stack for signal
    handlers that it gave to the thread that loaded the plugin. If another thread unloads it, the
    first thread keeps using the freed stack, and the next signal, such as Ctrl-C, ends the process
    without a message.
    """
    return ov.Core()


def devices() -> list[str]:
    """Return the devices that OpenVINO sees here, such as ["CPU", "GPU.0"]."""
    return list(core().available_devices)


class OpenVinoEngine(BaseEngine):
    """A model on one of OpenVINO's devices; see `engines.base.Engine`."""

    backend = NAME

    def __init__(self, card: ModelCard, part: str | None, device: str, precision: str) -> None:
        self.card = card
        self.device = _known_device("cpu" if device == "auto" else device)
        self._config = {"PERFORMANCE_HINT": "LATENCY"}
        self._threads = 1
        if precision == INT8 and not card.ranges:
            raise EngineError(f"{card.path.name} can't paint in int8; give another precision")
        if precision != "auto":
            _check_precision(self.device, precision)
        if precision in PRECISIONS:
            self._config["INFERENCE_PRECISION_HINT"] = PRECISIONS[precision]
        elif card.refused:  # the device might choose a refused one by itself
            self._config["INFERENCE_PRECISION_HINT"] = PRECISIONS["fp32"]
        self._in_int8 = precision == INT8 or (
            precision == "auto" and bool(card.ranges) and _int8_is_fast(self.device)
        )
        with _errors(f"OpenVINO can't read {card.path.name}"):
            self._model = core().read_model(graph_of(card, part))
        if self._in_int8:
            quantise(self._model, card.ranges)
        self.style_inputs = {
            port.any_name: tuple(
                side.get_length() if side.is_static else 1 for side in port.partial_shape
            )
            for port in self._model.inputs
            if port.any_name != "frame"
        }
        names = [port.any_name for port in self._model.outputs]
        self._other_outputs = [name for name in names if name != "stylized"]
        self._compiled: OrderedDict[tuple[int, Shapes], _Compiled] = OrderedDict()
        self._lock = threading.Lock()
        self._closed = False
        self._precision: str | None = None

    @property
    def precision(self) -> str:
        if self._precision is None:  # only a compiled model knows
            self.prepare(64, 64)
        assert self._precision is not None
        return self._precision

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        shapes = {name: array.shape for name, array in style.items()} or self.style_inputs
        self._compiled_for({"frame": (batch, height, width, 3), **shapes})

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        check_inputs(frames, style, self.style_inputs)
        # OpenVINO takes only writable arrays, and does not keep them alive.
        inputs = {
            name: np.require(array, requirements=["C", "W"])
            for name, array in {"frame": frames, **style}.items()
        }
        compiled = self._compiled_for({name: array.shape for name, array in inputs.items()})
        # The device writes straight into a new array for each call: nothing is copied, and the
        # next frame overwrites nothing that the caller holds.
        painted = np.empty(frames.shape, np.uint8)
        with compiled.request() as request:
            for name, array in {**inputs, "stylized": painted}.items():
                request.set_tensor(name, ov.Tensor(array, shared_memory=True))
            with _errors(f"OpenVINO can't paint with {self.card.path.name}"):
                request.infer()
            others = {name: request.get_tensor(name).data.copy() for name in self._other_outputs}
        return {"stylized": painted, **others}

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._compiled.clear()

    def set_concurrency(self, threads: int) -> int:
        """Give each thread cores of its own on a CPU, so that no core waits for the others."""
        self._threads = threads if self.device == "CPU" else 1
        return self._threads

    def _compiled_for(self, shapes: Mapping[str, tuple[int, ...]]) -> "_Compiled":
        """Return the model compiled for these shapes; the least recently used one is dropped."""
        threads = self._threads
        key = threads, tuple(sorted(shapes.items()))
        with self._lock:
            if self._closed:
                raise EngineError("this engine is closed")
            compiled = self._compiled.get(key)
            if compiled is not None:
                self._compiled.move_to_end(key)
                return compiled
        # Compile outside the lock, so that preparing another size does not hold up painting.
        _, height, width, _ = shapes["frame"]
        failed = f"OpenVINO can't compile {self.card.path.name} for frames of {width}x{height}"
        config = self._config | ({"NUM_STREAMS": str(threads)} if threads > 1 else {})
        if self.card.takes_patches and shapes["frame"][1:3] == FOUR_PATCHES:
            config["INFERENCE_PRECISION_HINT"] = PRECISIONS["fp32"]
        with _errors(failed):
            model = self._model.clone()
            model.reshape({name: list(shape) for name, shape in shapes.items()})
            compiled = _Compiled(core().compile_model(model, self.device, config))
        used = str(compiled.model.get_property("INFERENCE_PRECISION_HINT").to_string())
        with self._lock:
            names = {theirs: name for name, theirs in PRECISIONS.items()}
            self._precision = INT8 if self._in_int8 else names[used]
            self._compiled[key] = compiled
            if len(self._compiled) > KEPT_SIZES:
                self._compiled.popitem(last=False)
            return compiled


class OpenVinoGraph:
    """A graph on one of OpenVINO's devices; see `engines.graphs.Graph`."""

    def __init__(self, graph: Path | bytes, device: str, precision: str, any_size: bool) -> None:
        self._device = _known_device("cpu" if device == "auto" else device)
        self._config = {"PERFORMANCE_HINT": "LATENCY"}
        if precision not in ("auto", INT8):  # a graph has no bounds for int8
            _check_precision(self._device, precision)
            self._config["INFERENCE_PRECISION_HINT"] = PRECISIONS[precision]
        self._name = graph.name if isinstance(graph, Path) else "a part of the model"
        with _errors(f"OpenVINO can't read {self._name}"):
            self._model = core().read_model(graph)
        if len(self._model.get_ops()) > MOST_NODES:
            raise EngineError(f"{self._name} has too many operations; the most is {MOST_NODES}")
        self.inputs = {
            port.any_name: Port(
                tuple(s.get_length() if s.is_static else 0 for s in port.partial_shape),
                np.dtype(port.element_type.to_dtype()),
            )
            for port in self._model.inputs
        }
        self._any_size = any_size
        self._requests: OrderedDict[Shapes, ov.InferRequest] = OrderedDict()

    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        with _errors(f"OpenVINO can't run {self._name}"):
            request = self._request({name: array.shape for name, array in inputs.items()})
            request.infer({n: np.require(a, requirements=["C", "W"]) for n, a in inputs.items()})
        found: dict[str, NDArray[Any]] = {}
        for port in request.get_compiled_model().outputs:  # one tensor may have several names
            found |= dict.fromkeys(sorted(port.names), request.get_tensor(port).data.copy())
        return found

    def _request(self, shapes: Mapping[str, tuple[int, ...]]) -> ov.InferRequest:
        key = () if self._any_size else tuple(sorted(shapes.items()))
        if key not in self._requests:
            model = self._model
            if not self._any_size:
                model = model.clone()
                model.reshape({name: list(shape) for name, shape in shapes.items()})
            compiled = core().compile_model(model, self._device, self._config)
            self._requests[key] = compiled.create_infer_request()
            if len(self._requests) > KEPT_SIZES:
                self._requests.popitem(last=False)
        self._requests.move_to_end(key)
        return self._requests[key]


class _Compiled:
    """A model compiled for one size, with one infer request for each thread that paints."""

    def __init__(self, model: ov.CompiledModel) -> None:
        self.model = model
        self._idle: list[ov.InferRequest] = []

    @contextmanager
    def request(self) -> Iterator[ov.InferRequest]:
        """Lend an infer request that no other thread uses meanwhile."""
        try:
            request = self._idle.pop()
        except IndexError:
            request = self.model.create_infer_request()
        yield request
        self._idle.append(request)


def _known_device(device: str) -> str:
    name = device.upper()
    if name not in devices():
        raise EngineError(
            f"OpenVINO sees no device {device} here; it sees "
            f"{', '.join(known.lower() for known in devices())}"
        )
    return name


def _int8_is_fast(device: str) -> bool:
    """Return whether int8 is known to be fast: with AVX2 or later, but not known for ARM."""
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})  # empty entries are left out
    has = {*simd.get("baseline", ()), *simd.get("found", ())}
    return device == "CPU" and not has.isdisjoint({"AVX2", "X86_V3"})


def _check_precision(device: str, precision: str) -> None:
    """Raise EngineError if the device lacks a precision; OpenVINO would silently use another."""
    capabilities = core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    able = [name for name, capability in _CAPABILITIES.items() if capability in capabilities]
    if precision not in able:
        raise EngineError(
            f"this {device} does not compute in {precision}; it can do {' and '.join(able)}"
        )
