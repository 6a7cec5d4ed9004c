"""Run networks that are not engines, such as a style encoder or a segmentation network."""

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
    """Length of each side; 0 for a side of any length."""
    dtype: np.dtype[Any]


class Graph(Protocol):
    """An ONNX graph that is ready to run, by one thread at a time."""

    inputs: Mapping[str, Port]

    def __call__(self, inputs: Arrays) -> Arrays:
        """Return all outputs by name; the arrays belong to the caller."""


def open_graph(
    graph: Path | bytes, placement: Placement = Placement(), any_size: bool = False
) -> Graph:
    """Open a graph where `placement` says: by default on the CPU, by OpenVINO or else onnxruntime.

    With `any_size`, the graph is compiled once for every size, which suits graphs that rarely run.
    Raises EngineError if the graph can't be read or can't run there.
    """
    problems = {"openvino": openvino_problem(), "onnxruntime": onnxruntime_problem()}
    backend = placement.backend
    if backend == "auto":
        known_device = placement.device.split(":")[0] in ("auto", "cpu", "gpu", "npu")
        backend = "openvino" if known_device and problems["openvino"] is None else "onnxruntime"
    device = placement.device
    if backend == "tensorrt":  # TensorRT itself takes minutes to build a plan
        _, colon, number = device.partition(":")
        backend, device = "onnxruntime", f"cuda{colon}{number}"
    if (problem := problems[backend]) is not None:
        raise EngineError(str(problem))
    module, kind = _KINDS[backend]
    opened: Graph = getattr(import_module(module), kind)(
        graph, device, placement.precision, any_size
    )
    return opened


_KINDS = {
    "openvino": (f"{__package__}.openvino_.engine", "OpenVinoGraph"),
    "onnxruntime": (f"{__package__}.onnxruntime_.engine", "OnnxRuntimeGraph"),
}
