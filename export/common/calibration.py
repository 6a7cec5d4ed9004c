"""Bounds of what a net convolves, so that its convolutions can be done in 8 bits."""

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
"""(height, width) of the photos that bounds are taken from."""

PHOTOS = 6
"""Photos that bounds are taken from; the result is judged on as many others."""

INSIDE = 99.995
"""Percent of the numbers that the bounds hold: a single one that lies far out would make all steps
coarse, and cutting off many is seen."""

EACH = 3
"""Every third line and column is looked at."""

MIN_PSNR_DB = 36.0
"""Least PSNR of every style on every photo beside float32, or the net has no form in 8 bits."""

LEFT_OUT = 3
"""Convolutions that may stay as they are where the net needs it: those without which 8 bits are the
closest."""

IN_REACH_DB = 3.0
"""What leaving them out may be hoped to bring: it brought 1 dB where it was needed."""


def calibrated(model: bytes, styles: Sequence[Style], photos: Path) -> tuple[Ranges, float]:
    """The bounds of each tensor that the ONNX graph `model` convolves, none if it can't be done
    well, and the worst PSNR in dB of what it then paints in any of `styles`.
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
    """Each photo in each style."""
    for photo in photos:
        frame = frame_of(photo, SIZE).numpy()
        for style in styles:
            yield {"frame": frame, **style}


def _painted(graph: ov.Model, inputs: list[dict[str, NDArray[Any]]]) -> list[Frames]:
    network = core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [network(each)["stylized"].copy() for each in inputs]
