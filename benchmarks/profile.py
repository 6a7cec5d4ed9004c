"""Where a frame's time goes, layer by layer, and how far that is from what the machine can do:
python -m benchmarks profile

Of OpenVINO on the CPU. Operations are those of convolutions and matrix products, bytes what each
layer reads and writes; they are set beside large convolutions and a large copy, measured in the
same run on the same cores. A layer can't take less than the longer of the two.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray

from engines import Style
from engines.openvino_backend import core
from engines.parts import graph_of
from streamstyle import machine
from streamstyle.bench import moving_frames
from streamstyle.options import add_style, size_of
from streamstyle.styles import Transfer, asked_for, read_style
from streamstyle.timing import now_s

FRAMES = 20

CONVOLUTIONS, CHANNELS, PLACES = 8, 256, 64
"""Convolutions of 3x3 that are the machine's best; channels, and places in a line, of each."""

COPIED = 64 * 2**20
"""Bytes, of which no cache has a part."""


@dataclass
class Layer:
    name: str
    kind: str
    seconds: float
    operations: float
    """Additions and multiplications, each counted."""
    bytes: float


def main() -> None:
    """Print a Markdown table: the slowest layers first, all of a kind, and the sum."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_style(parser)
    parser.add_argument("--size", type=size_of, default=(640, 480), help="such as 1280x720")
    parser.add_argument("--layers", type=int, default=15, help="how many to print")
    options = parser.parse_args()
    style = asked_for(options.style, options.style_image)
    card, inputs = read_style(style, Transfer(options.levels, options.alpha))
    part = max(options.levels) if card.parts else None
    model = core().read_model(graph_of(card, part))
    if part is not None:  # what a level takes is made of each frame: none of it changes the time
        inputs = {
            port.any_name: _nothing(port) for port in model.inputs if port.any_name != "frame"
        }
    layers = list(profiled(model, inputs, options.size))
    total_s = sum(layer.seconds for layer in layers)
    operations_per_s, bytes_per_s = convolution_rate(), copy_rate()
    width, height = options.size
    print(f"{machine.hardware()}\n{machine.packages()}\n{card.path.stem}, {width}x{height}\n")
    print(
        f"Large convolutions: {operations_per_s / 1e9:.0f} GFLOP/s; "
        f"a copy: {bytes_per_s / 1e9:.1f} GB/s\n"
    )
    print("| layer | ms | share | GFLOP | MB | of the machine's best |\n|---|---|---|---|---|---|")

    def row(name: str, group: list[Layer]) -> str:
        seconds, operations, moved = (
            sum(getattr(layer, what) for layer in group)
            for what in ("seconds", "operations", "bytes")
        )
        least_s = sum(
            max(layer.operations / operations_per_s, layer.bytes / bytes_per_s) for layer in group
        )
        return (
            f"| {name} | {1000 * seconds:.2f} | {seconds / total_s:.0%} | {operations / 1e9:.2f} | "
            f"{moved / 1e6:.1f} | {least_s / seconds:.0%} |"
        )

    for layer in sorted(layers, key=lambda layer: -layer.seconds)[: options.layers]:
        print(row(layer.name, [layer]))
    kinds = sorted({layer.kind for layer in layers})
    groups = {kind: [layer for layer in layers if layer.kind == kind] for kind in kinds}
    for kind, group in sorted(groups.items(), key=lambda g: -sum(one.seconds for one in g[1])):
        print(row(f"all {len(group)} of {kind}", group))
    print(row("all", layers))


def profiled(model: ov.Model, style: Style, size: tuple[int, int]) -> Iterator[Layer]:
    """The layers that were really run for frames of `size`, (width, height)."""
    frames = moving_frames(size, count=5)
    shapes = {"frame": list(frames[0].shape), **{n: list(a.shape) for n, a in style.items()}}
    model.reshape(shapes)
    work = {op.get_friendly_name(): _operations(op) for op in model.get_ordered_ops()}
    compiled = core().compile_model(
        model, "CPU", {"PERFORMANCE_HINT": "LATENCY", "PERF_COUNT": True}
    )
    request = compiled.create_infer_request()
    taken: dict[str, list[float]] = {}
    for turn in range(FRAMES + 1):
        request.infer({"frame": frames[turn % len(frames)], **style})
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


def _nothing(port: Any) -> NDArray[np.float32]:
    return np.zeros(
        [1 if side.is_dynamic else side.get_length() for side in port.partial_shape], np.float32
    )


def _operations(op: Any) -> float:
    outputs = float(np.prod(op.output(0).shape)) if op.outputs() else 0.0
    match op.get_type_name():
        case "Convolution":  # weights (out, in, height, width)
            return 2 * outputs * float(np.prod(op.input_value(1).shape[1:]))
        case "GroupConvolution":  # weights (groups, out, in, height, width)
            return 2 * outputs * float(np.prod(op.input_value(1).shape[2:]))
        case "MatMul":
            across = -2 if op.get_attributes()["transpose_a"] else -1
            return 2 * outputs * float(op.input_value(0).shape[across])
    return 0.0


def _bytes(port: Any) -> float:
    size: int = port.element_type.size
    return float(np.prod(port.shape)) * size


def convolution_rate() -> float:
    """Operations a second of large convolutions one after the other, which come nearer to what the
    processor can do than a product of large matrices did, a third as much."""
    op = ov.opset13
    given = op.parameter([1, PLACES, PLACES, CHANNELS], np.float32)
    x = op.transpose(given, np.array([0, 3, 1, 2]))
    kernel = np.full((CHANNELS, CHANNELS, 3, 3), 1e-3, np.float32)
    for _ in range(CONVOLUTIONS):
        x = op.convolution(x, kernel, [1, 1], [1, 1], [1, 1], [1, 1])
    model = ov.Model([op.reduce_mean(x, np.array([2, 3]))], [given])
    latency = {"PERFORMANCE_HINT": "LATENCY"}
    request = core().compile_model(model, "CPU", latency).create_infer_request()
    inputs = [np.ones((1, PLACES, PLACES, CHANNELS), np.float32)]
    operations = CONVOLUTIONS * 2 * PLACES**2 * CHANNELS**2 * 9
    return operations / _fastest_s(lambda: request.infer(inputs))


def copy_rate() -> float:
    """Bytes read and written a second, by one core."""
    source = np.ones(COPIED, np.uint8)
    target = np.empty_like(source)
    return 2 * COPIED / _fastest_s(lambda: np.copyto(target, source))


def _fastest_s(work: Any) -> float:
    times = []
    for _ in range(5):
        began_s = now_s()
        work()
        times.append(now_s() - began_s)
    return min(times)
