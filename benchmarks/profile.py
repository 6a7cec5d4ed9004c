"""Show where a frame's time goes, and how near that is to the best the machine can do.

First come the stages of painting a file, each measured separately, in core time. Then come the
engine's layers, in OpenVINO or onnxruntime on the CPU. Operations are those of convolutions and
matrix products; bytes are what each layer reads and writes. They are compared with large
convolutions in the same precision and with a large copy, measured in the same run on the same
cores. A layer takes at least the longer of these two times.

Usage: python -m benchmarks profile
"""

import argparse
from collections.abc import Iterable

import numpy as np

from benchmarks.layers import (
    Layer,
    convolution_rate,
    copy_rate,
    onnxruntime_layers,
    openvino_layers,
)
from benchmarks.stages import stages
from engines import PRECISIONS, Engine, Style, open_part
from engines.model_card import ModelCard
from engines.subgraphs import graph_of
from streamstyle import system
from streamstyle.cli.bench import moving_frames
from streamstyle.cli.options import add_style, parse_size, style_asked_for
from streamstyle.styles import engine_label, open_engine, read_style

CLIP = 50
"""Frames that go through the stages."""


def main() -> None:
    """Print two Markdown tables, one of stages and one of layers.

    The table of layers has the slowest layers first, then each kind of layer, then the sum.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    add_style(parser)
    parser.add_argument(
        "--size", type=parse_size, default=(640, 480), help="size of the frames, such as 1280x720"
    )
    parser.add_argument("--layers", type=int, default=15, help="number of layers to print")
    parser.add_argument("--engine", default="openvino", choices=["openvino", "onnxruntime"])
    parser.add_argument("--precision", default="auto", choices=["auto", *PRECISIONS])
    options = parser.parse_args()
    style = style_asked_for(options)
    width, height = options.size
    print(f"{system.hardware()}\n{system.packages()}\n")
    with open_engine(style, options.engine, "cpu", options.precision) as engine:
        print(f"{engine.card.path.stem}, {width}x{height}, {engine_label(engine)}\n")
        _print_stages(engine, options.size)
        precision = engine.precision
    card, inputs = read_style(style)
    part = max(options.levels) if card.parts else None
    if part is not None:  # a level's inputs depend on each frame, but the time does not
        with open_part(card.path, part, options.engine, "cpu", options.precision) as level:
            shapes = level.style_inputs.items()
            inputs = {name: np.zeros(shape, np.float32) for name, shape in shapes}
    layers = list(layers_of(card, part, inputs, options.size, options.engine, precision))
    _print_layers(layers, options.layers, precision)


def layers_of(
    card: ModelCard,
    part: str | None,
    style: Style,
    size: tuple[int, int],
    backend: str,
    precision: str,
) -> Iterable[Layer]:
    """Return the layers that a backend really runs for frames of `size`, (width, height)."""
    graph, frames = graph_of(card, part), moving_frames(size, count=5)
    if backend == "openvino":
        return openvino_layers(graph, card.ranges, frames, style, precision)
    return onnxruntime_layers(graph, frames, style)


def _print_stages(engine: Engine, size: tuple[int, int]) -> None:
    taken = list(stages(engine, moving_frames(size, CLIP)))
    total_s = sum(seconds for _, seconds in taken)
    print("| stage of a file | ms of a core | share |\n|---|---|---|")
    for name, seconds in [*taken, ("all", total_s)]:
        print(f"| {name} | {1000 * seconds:.1f} | {seconds / total_s:.0%} |")
    print()


def _print_layers(layers: list[Layer], most: int, precision: str) -> None:
    total_s = sum(layer.seconds for layer in layers)
    operations_per_s, bytes_per_s = convolution_rate(precision), copy_rate()
    print(
        f"Large convolutions in {precision}: {operations_per_s / 1e9:.0f} GFLOP/s; "
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

    for layer in sorted(layers, key=lambda layer: -layer.seconds)[:most]:
        print(row(layer.name, [layer]))
    kinds = sorted({layer.kind for layer in layers})
    groups = {kind: [layer for layer in layers if layer.kind == kind] for kind in kinds}
    for kind, group in sorted(groups.items(), key=lambda g: -sum(one.seconds for one in g[1])):
        print(row(f"all {len(group)} of {kind}", group))
    print(row("all", layers))
    reached = sum(layer.operations for layer in layers) / total_s
    print(
        f"\nThe network does {reached / 1e9:.0f} GFLOP/s, {reached / operations_per_s:.0%} of what "
        "large convolutions do."
    )
