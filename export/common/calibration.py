"""Calibrate 8-bit inference: measure the bounds of each tensor that a net convolves."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

from engines import Frames, Style
from engines.openvino_.engine import core
from engines.openvino_.int8 import Ranges, convolved, quantise
from export.common.comparison import BEST_DB, psnr
from export.data.photos import frame_of, list_photos

SIZE = (240, 320)
"""(height, width) in pixels of the photos used for calibration."""

PHOTOS = 6
"""Photos used for calibration; as many others judge the result."""

INSIDE = 99.995
"""Percentile that sets the upper bound; 100 minus it sets the lower bound.

A single outlier inside the bounds would make all quantization steps coarse; clipping many values
would be visible.
"""

EACH = 3
"""Stride of the rows and columns that are measured."""

MIN_PSNR_DB = 36.0
"""Minimum PSNR in dB against float32, for every style on every photo.

Below it, the net gets no 8-bit form.
"""

LEFT_OUT = 3
"""Maximum number of convolutions that stay unquantized if the PSNR is too low otherwise.

The choice is the one that brings 8 bits closest to float32.
"""

IN_REACH_DB = 3.0
"""Largest lack of PSNR, in dB, for which leaving out convolutions is tried.

It gained 1 dB where it was needed.
"""


def calibrated(model: bytes, styles: Sequence[Style], photos: Path) -> tuple[Ranges, float]:
    """Return the bounds of each tensor that the ONNX graph `model` convolves, and the worst PSNR.

    The bounds are empty if 8 bits miss MIN_PSNR_DB. The PSNR, in dB against float32, is the worst
    over all `styles` and photos.
    """
    paths = list_photos(photos)
    chosen = paths[:: max(1, len(paths) // (2 * PHOTOS))][: 2 * PHOTOS]
    graph = core().read_model(model)
    graph.reshape({"frame": [1, *SIZE, 3]})
    sources = convolved(graph)
    if not sources:
        return {}, BEST_DB
    looked_at = ov.Model(
        [ops.result(source) for source in sources.values()], graph.get_parameters()
    )
    low, high = np.full(len(sources), np.inf), np.full(len(sources), -np.inf)
    network = core().compile_model(looked_at, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    for inputs in _inputs(chosen[::2], styles):
        for index, values in enumerate(network(inputs).to_tuple()):
            some = values[..., ::EACH, ::EACH]
            outside = np.percentile(some, [100 - INSIDE, INSIDE])
            low[index] = min(low[index], outside[0])
            high[index] = max(high[index], outside[1])
    bounds = zip(low.tolist(), high.tolist(), strict=True)
    ranges: Ranges = dict(zip(sources, bounds, strict=True))
    others = list(_inputs(chosen[1::2] or chosen, styles))
    exact = _painted(graph, others)

    def worst_db_of(some: Ranges) -> float:
        in_8_bits = graph.clone()
        quantise(in_8_bits, some)
        return min(map(psnr, exact, _painted(in_8_bits, others)))

    worst_db = worst_db_of(ranges)
    for _ in range(LEFT_OUT):
        if not MIN_PSNR_DB - IN_REACH_DB <= worst_db < MIN_PSNR_DB:
            break
        fewer = [{n: r for n, r in ranges.items() if n != name} for name in ranges]
        worst_db, ranges = max(
            ((worst_db_of(some), some) for some in fewer), key=lambda found: found[0]
        )
    return ranges if worst_db >= MIN_PSNR_DB else {}, round(min(worst_db, BEST_DB), 1)


def _inputs(photos: list[Path], styles: Sequence[Style]) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield the graph inputs for each photo in each style."""
    for photo in photos:
        frame = frame_of(photo, SIZE).numpy()
        for style in styles:
            yield {"frame": frame, **style}


def _painted(graph: ov.Model, inputs: list[dict[str, NDArray[Any]]]) -> list[Frames]:
    network = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [network(each)["stylized"].copy() for each in inputs]
