"""Measure how a new engine file paints in lower precisions than float32, against PyTorch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from engines import MIN_SIDE, EngineError, Frames, Style, open_part, read_card
from engines.fp16 import COMPUTED, HALVED, OPERATORS, in_half
from engines.subgraphs import graph_of
from export.common.calibration import MIN_PSNR_DB
from export.common.comparison import BEST_DB, psnr

CHECKED = ("fp16", "bf16")
"""Precisions that are checked here; export/common/calibration.py checks 8 bits."""


class Sample(NamedTuple):
    """One input of an engine and the frames expected of it."""

    frame: Frames
    style: Style
    expected: NDArray[np.uint8]
    """Frames that PyTorch paints in float32."""
    part: str | None = None
    """Part of the model that paints the sample, with `style` as its inputs; None for the whole."""


def other_precisions(path: Path, samples: Sequence[Sample]) -> dict[str, Any]:
    """Measure the engine file `path` in lower precisions and return the results for its card.

    They are the worst PSNR in fp16 and, if this processor computes in it, in bf16; the layers to
    run in half precision; and the refused precisions, whose PSNR is below the limit for 8 bits.

    Half precision is tried with as many layers as possible, then with fewer. Frames of the smallest
    size are left out: with so few positions, a single different one is a large part of the picture.
    """
    samples = [sample for sample in samples if min(sample.frame.shape[1:3]) > MIN_SIDE]
    found: dict[str, Any] = {}
    for half, operators in OPERATORS.items():
        found |= {"half": half, "fp16_worst_psnr_db": _worst_in_half(path, operators, samples)}
        if found["fp16_worst_psnr_db"] >= MIN_PSNR_DB:
            break
    in_bfloat16 = _worst_in_bfloat16(path, samples)
    if in_bfloat16 is not None:
        found["bf16_worst_psnr_db"] = in_bfloat16
    of = {precision: found.get(f"{precision}_worst_psnr_db", BEST_DB) for precision in CHECKED}
    return {**found, "refused": [precision for precision in CHECKED if of[precision] < MIN_PSNR_DB]}


def _worst_in_bfloat16(path: Path, samples: Sequence[Sample]) -> float | None:
    painted = []
    for sample in samples:
        try:
            engine = open_part(path, sample.part, "openvino", "cpu", "bf16")
        except EngineError:
            return None  # this processor has no bfloat16; onnxruntime has it on no CPU
        with engine:
            painted.append(engine.paint(sample.frame, sample.style))
    return _worst_db(painted, samples)


def _worst_in_half(path: Path, operators: Sequence[str], samples: Sequence[Sample]) -> float:
    """Return the worst PSNR in fp16, with the rounding that a GPU does.

    onnxruntime on the CPU would not round by itself.
    """
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    card = read_card(path)
    painted = []
    for sample in samples:
        graph = rounded(in_half(graph_of(card, sample.part), operators))
        session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        painted += session.run(["stylized"], {"frame": sample.frame, **sample.style})
    return _worst_db(painted, samples)


def rounded(graph: bytes) -> bytes:
    """Return the result of `in_half`, computed in float32 and rounded where it is half precision.

    onnxruntime has few half-precision operators on the CPU. It computes the others in float32, with
    casts before and after each, and drops the casts between two of them, and with them all rounding
    and overflow. It does not drop casts that have an operator between them.
    """
    model = onnx.load_model_from_string(graph)
    nodes = []
    for node in model.graph.node:
        target = node.output[0]
        source = node.input[0] if node.op_type == "Cast" else ""
        if source and (target.endswith(HALVED) or source.endswith(COMPUTED)):
            small, kept = f"{target}:small", f"{target}:kept"
            nodes += [
                helper.make_node("Cast", [source], [small], to=TensorProto.FLOAT16),
                helper.make_node("Identity", [small], [kept]),
                helper.make_node("Cast", [kept], [target], to=TensorProto.FLOAT),
            ]
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    data: bytes = model.SerializeToString()
    return data


def _worst_db(painted: Sequence[Frames], samples: Sequence[Sample]) -> float:
    worst = min(psnr(one, sample.expected) for one, sample in zip(painted, samples, strict=True))
    return round(min(worst, BEST_DB), 1)
