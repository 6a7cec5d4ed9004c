"""Time the layers of a network as a backend really runs them on the CPU.

Rates of large convolutions and of a large copy tell the least time that each layer could take.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime as ort
import openvino as ov
from numpy.typing import NDArray

from engines import Frames, Style
from engines.openvino_.engine import INT8, PRECISIONS, core
from engines.openvino_.int8 import Ranges, quantise
from streamstyle.timing import now_s

FRAMES = 20

CONVOLUTIONS, CHANNELS, PLACES = 8, 256, 64
"""Number, channels and side in places of the 3x3 convolutions that show the machine's best."""

COPIED = 64 * 2**20
"""Bytes to copy; so many that caches don't matter."""


@dataclass
class Layer:
    """A layer with its time and work for one frame."""

    name: str
    kind: str
    seconds: float
    operations: float
    """Additions plus multiplications, of convolutions and matrix products only."""
    bytes: float
    """Bytes that the layer reads and writes."""


def openvino_layers(
    graph: Path | bytes, ranges: Ranges, frames: list[Frames], style: Style, precision: str
) -> Iterator[Layer]:
    """Yield the layers of the ONNX model `graph`, each with its median time per frame."""
    model = core().read_model(graph)
    if precision == INT8:
        quantise(model, ranges)
    model.reshape({name: list(a.shape) for name, a in _inputs(frames[0], style).items()})
    work = {op.get_friendly_name(): _operations_of(op) for op in model.get_ordered_ops()}
    compiled = core().compile_model(model, "CPU", {**_config(precision), "PERF_COUNT": True})
    request = compiled.create_infer_request()
    taken: dict[str, list[float]] = {}
    for turn in range(FRAMES + 1):
        request.infer(_inputs(frames[turn % len(frames)], style))
        for info in request.profiling_info:
            taken.setdefault(info.node_name, []).append(info.real_time.total_seconds())
    for op in compiled.get_runtime_model().get_ordered_ops():
        name = op.get_friendly_name()
        seconds = median(taken.get(name, [0.0])[1:] or [0.0])
        if not seconds:
            continue
        about = {
            key: str(op.rt_info[key].astype(str)) for key in ("layerType", "originalLayersNames")
        }
        moved = sum(map(_bytes, (*op.outputs(), *(i.get_source_output() for i in op.inputs()))))
        operations = sum(
            work.get(original, 0.0) for original in about["originalLayersNames"].split(",")
        )
        yield Layer(name, about["layerType"], seconds, operations, moved)


def onnxruntime_layers(graph: Path | bytes, frames: list[Frames], style: Style) -> Iterator[Layer]:
    """Yield the layers of the ONNX model `graph` in float32, with their median times per frame."""
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.log_severity_level = 3  # as in the engine
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = f"{folder}/layers"
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for turn in range(FRAMES + 1):
            session.run(None, _inputs(frames[turn % len(frames)], style))
        events = json.loads(Path(session.end_profiling()).read_text())
    taken: dict[str, list[Mapping[str, Any]]] = {}
    for event in events:
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            taken.setdefault(event["name"].removesuffix("_kernel_time"), []).append(event)
    for name, runs in taken.items():
        about = runs[0]["args"]
        read, written = (
            [(kind, shape) for port in about[f"{way}_type_shape"] for kind, shape in port.items()]
            for way in ("input", "output")
        )
        yield Layer(
            name,
            about["op_name"],
            median(run["dur"] for run in runs[1:]) / 1e6,
            _operations(about["op_name"], [s for _, s in read], [s for _, s in written]),
            sum(_SIZES.get(kind, 8) * float(np.prod(shape)) for kind, shape in (*read, *written)),
        )


_SIZES = {"uint8": 1, "int8": 1, "bool": 1, "float16": 2, "float": 4, "int32": 4}
"""Bytes per number of onnxruntime's types; others have 8."""


def convolution_rate(precision: str) -> float:
    """Return the operations per second of large convolutions, one after the other.

    They come nearer to what the processor can do than a product of large matrices, which reached
    a third as much.
    """
    op = ov.opset13
    given = op.parameter([1, PLACES, PLACES, CHANNELS], np.float32)
    given.output(0).set_names({"0"})
    x = op.transpose(given, np.array([0, 3, 1, 2]))
    kernel = np.full((CHANNELS, CHANNELS, 3, 3), 1e-3, np.float32)
    for number in range(CONVOLUTIONS):
        x = op.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
        x.output(0).set_names({f"{number + 1}"})
    model = ov.Model([op.reduce_mean(x, np.array([2, 3]))], [given])
    if precision == INT8:
        quantise(model, {f"{number}": (0.0, 1.0) for number in range(CONVOLUTIONS)})
    request = core().compile_model(model, "CPU", _config(precision)).create_infer_request()
    inputs = [np.ones((1, PLACES, PLACES, CHANNELS), np.float32)]
    operations = CONVOLUTIONS * 2 * PLACES**2 * CHANNELS**2 * 9
    return operations / _fastest_s(lambda: request.infer(inputs))


def copy_rate() -> float:
    """Return the bytes read and written per second by one core."""
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    return 2 * COPIED / _fastest_s(lambda: np.copyto(target, source))


def _inputs(frames: Frames, style: Style) -> dict[str, NDArray[Any]]:
    return {"frame": frames, **style}


def _config(precision: str) -> dict[str, Any]:
    hint = {"INFERENCE_PRECISION_HINT": PRECISIONS[precision]} if precision in PRECISIONS else {}
    return {"PERFORMANCE_HINT": "LATENCY", **hint}


def _operations_of(op: Any) -> float:
    kind = op.get_type_name()
    if kind == "MatMul" and op.get_attributes()["transpose_a"]:
        return 2 * float(np.prod(op.output(0).shape)) * float(op.input_value(0).shape[-2])
    if not op.outputs() or op.output(0).partial_shape.is_dynamic:
        return 0.0
    return _operations(kind, [i.get_shape() for i in op.inputs()], [op.output(0).shape])


def _operations(kind: str, read: list[Any], written: list[Any]) -> float:
    """Return the operations of an OpenVINO or ONNX operator that reads and writes these shapes."""
    match kind:
        case "Convolution" | "Conv" | "FusedConv":  # weights (out, in, height, width)
            each = float(np.prod(read[1][1:]))
        case "GroupConvolution":  # weights (groups, out, in, height, width)
            each = float(np.prod(read[1][2:]))
        case "MatMul" | "FusedMatMul":
            each = float(read[0][-1])
        case _:
            return 0.0
    return 2 * each * float(np.prod(written[0]))


def _bytes(port: Any) -> float:
    size: int = port.element_type.size
    return float(np.prod(port.shape)) * size


def _fastest_s(work: Callable[[], object]) -> float:
    times = []
    for _ in range(5):
        began_s = now_s()
        work()
        times.append(now_s() - began_s)
    return min(times)
