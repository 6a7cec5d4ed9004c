"""Networks that are no engines, such as a style encoder or one that segments, on what there is."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from engines.availability import onnxruntime_problem, openvino_problem
from engines.errors import EngineError

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Placement:
    """Where a network runs, in the words of --engine, --device and --precision."""

    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"


class Port(NamedTuple):
    """An input of a graph."""

    shape: tuple[int, ...]
    """0 for a side of any length."""
    dtype: np.dtype[Any]


class Graph(Protocol):
    """An ONNX graph, ready to run. One thread at a time."""

    inputs: Mapping[str, Port]

    def __call__(self, inputs: Arrays) -> Arrays:
        """All outputs by name; the arrays are the caller's."""


def open_graph(
    graph: Path | bytes, placement: Placement = Placement(), any_size: bool = False
) -> Graph:
    """Open a graph where `placement` says; by itself on the CPU, by OpenVINO or else onnxruntime.

    With `any_size` it is compiled once, for every size, for what is computed now and then. Raises
    EngineError if it can't be read or can't run there.
    """
    problems = {"openvino": openvino_problem(), "onnxruntime": onnxruntime_problem()}
    backend = placement.backend
    if backend == "auto":
        known_device = placement.device.split(":")[0] in ("auto", "cpu", "gpu", "npu")
        backend = "openvino" if known_device and problems["openvino"] is None else "onnxruntime"
    device = placement.device
    if backend == "tensorrt":  # which takes minutes for a plan
        backend, device = "onnxruntime", device if device.startswith("cuda") else "cuda"
    if (problem := problems[backend]) is not None:
        raise EngineError(str(problem))
    module, kind = _KINDS[backend]
    opened: Graph = getattr(import_module(module), kind)(
        graph, device, placement.precision, any_size
    )
    return opened


_KINDS = {
    "openvino": ("engines.openvino_.engine", "OpenVinoGraph"),
    "onnxruntime": ("engines.onnxruntime_.engine", "OnnxRuntimeGraph"),
}
