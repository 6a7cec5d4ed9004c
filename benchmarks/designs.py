"""Measure the speed of the networks that were considered, compared with PyTorch.

Weights are random, because speed does not depend on them. OpenVINO runs as it does for users, and
frames are uint8 in and out. The results, with the losses of the networks that were trained, are in
docs/measured/designs.md.

Usage: python -m benchmarks designs
"""

import argparse
from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np
import openvino as ov
import torch

from engines import Frames
from export.common.engine_file import FrameGraph, export_graph
from export.families.johnson.model import Johnson, JohnsonConfig
from export.families.many_style.model import ManyStyle, ManyStyleConfig
from streamstyle import system
from streamstyle.cli.bench import moving_frames

STYLES = 16

REFERENCE = "Johnson 32, PyTorch float32"

SIZES = ((640, 480), (1280, 720), (1920, 1080))

Paint = Callable[[Frames], object]


def main() -> None:
    """Print a Markdown table of the median milliseconds of each design at each size.

    The last column is the speed at the first size as a multiple of the classic network's in
    PyTorch. At each size, the designs take turns frame by frame.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="frames for each design and size")
    parser.add_argument(
        "--sizes", type=int, default=len(SIZES), help="number of sizes, from the smallest"
    )
    options = parser.parse_args()
    print(f"{system.hardware()}\n{system.packages()}, torch {torch.__version__}\n")
    sizes = SIZES[: options.sizes]
    times = [_race(dict(_designs(size)), size, options.rounds) for size in sizes]
    print("| design | " + " | ".join(f"{w}x{h}, ms" for w, h in sizes) + " | beside PyTorch |")
    print("|---" * (len(sizes) + 2) + "|")
    for name in times[0]:
        cells = " | ".join(f"{1000 * of_size[name]:.0f}" for of_size in times)
        print(f"| {name} | {cells} | {times[0][REFERENCE] / times[0][name]:.1f} x |")


def _designs(size: tuple[int, int]) -> Iterator[tuple[str, Paint]]:
    classic = FrameGraph(Johnson(JohnsonConfig())).eval()
    yield REFERENCE, lambda frame: _by_torch(classic, frame)
    yield "Johnson 32 (classic)", _by_openvino(classic, size)
    yield "Johnson 16", _by_openvino(FrameGraph(Johnson(JohnsonConfig(16))), size)
    for name, config in (
        ("many-style 32 (small)", ManyStyleConfig(32, 5, 16)),
        ("many-style 48", ManyStyleConfig(48, 4, 24)),
        ("many-style 64 (medium)", ManyStyleConfig()),
        ("many-style 64, 5 blocks", ManyStyleConfig(64, 5, 32)),
        ("many-style 96", ManyStyleConfig(96, 5, 48)),
    ):
        yield name, _by_openvino(FrameGraph(ManyStyle(config, STYLES)), size)


@torch.no_grad()
def _by_torch(graph: FrameGraph, frame: Frames) -> object:
    return graph(torch.from_numpy(frame))


def _by_openvino(graph: FrameGraph, size: tuple[int, int]) -> Paint:
    core = ov.Core()
    model = core.read_model(export_graph(graph.eval()).SerializeToString())
    model.reshape({"frame": [1, size[1], size[0], 3]})
    request = core.compile_model(
        model, "CPU", {"PERFORMANCE_HINT": "LATENCY"}
    ).create_infer_request()
    style = [np.eye(STYLES, dtype=np.float32)[0]] * (len(model.inputs) - 1)
    return lambda frame: request.infer([frame, *style])


def _race(designs: dict[str, Paint], size: tuple[int, int], rounds: int) -> dict[str, float]:
    frames = moving_frames(size, count=5)
    seconds: dict[str, list[float]] = {name: [] for name in designs}
    for turn in range(rounds + 1):
        for name, paint in designs.items():
            started_at_s = perf_counter()
            paint(frames[turn % len(frames)])
            seconds[name].append(perf_counter() - started_at_s)
    return {name: float(np.median(of_design[1:])) for name, of_design in seconds.items()}
