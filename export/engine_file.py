"""Writing an engine: one ONNX file that keeps the contract of engines/base.py."""

import json
import logging
import math
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxscript import optimizer
from torch import Tensor, nn

from engines import MIN_SIDE, NO_STYLE, STYLE_WEIGHTS, StyleCard, open_engine, read_card
from engines.card import FORMAT
from export.errors import ExportError
from export.models.cells import from_cells, to_cells
from export.models.many_style import CELL, ManyStyle
from export.models.padding import reflect_pad
from export.photos import list_photos, load_picture

OPSET = 20

SIZES = ((480, 640), (359, 641), (MIN_SIDE, MIN_SIDE), (320, 180))
"""(height, width) that a new file is checked at: usual, odd, smallest, portrait."""

MIN_PSNR_DB = 40.0
"""Below this, the file is not what was trained: half-precision weights alone cost about 50 dB."""

HALVED = "_half"
"""Behind the name of a weight that is stored in half precision."""

TWIN_NOISE = 0.01
"""What sets repeated channels apart, as a part of the weights' standard deviation."""

NET = "net."
"""Before the name of each weight of a net."""

STYLES = "styles"
"""The weight of a ManyStyle net that has a row for each style."""

SMALLESTHALVED = 1024
"""Numbers in a tensor from which storing it in half precision is worth its cast."""


EXAMPLE = torch.zeros(2, 37, 50, 3, dtype=torch.uint8)
"""Frames of no size that might be taken as fixed."""

FRAME_SIZES = {
    0: torch.export.Dim("batch"),
    1: torch.export.Dim("height", min=MIN_SIDE),
    2: torch.export.Dim("width", min=MIN_SIDE),
}


class FrameGraph(nn.Module):
    """uint8 (N, H, W, 3), and style weights (S,) for a net of many styles, to uint8 of the same
    shape, around a net that maps RGB (N, 3, H, W), 0..1."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, frame: Tensor, weights: Tensor | None = None) -> Tensor:
        if isinstance(self.net, ManyStyle):
            assert weights is not None
            return _by_cells(self.net, frame, weights)
        painted = self.net(frame.permute(0, 3, 1, 2).to(torch.float32) / 255)
        return _bytes(painted).permute(0, 2, 3, 1)


def _by_cells(net: ManyStyle, frame: Tensor, weights: Tensor) -> Tensor:
    """As `ManyStyle.forward`, but pixels become channels, and channels pixels, while they are
    bytes."""
    height, width = frame.shape[1], frame.shape[2]
    padded = reflect_pad(frame.permute(0, 3, 1, 2), 0, CELL).permute(0, 2, 3, 1)
    painted = net.paint(to_cells(padded, CELL).to(torch.float32) / 255, weights[None])
    return from_cells(_bytes(painted), CELL)[:, :height, :width]


def _bytes(painted: Tensor) -> Tensor:
    return (painted.clamp(0, 1) * 255).round().to(torch.uint8)


def write_engine(
    net: nn.Module,
    out: Path,
    family: str,
    styles: Sequence[StyleCard],
    training: dict[str, Any],
    photos: Path,
) -> dict[str, Any]:
    """Export `net`, check the file against it on photos, and write it under `out` if it agrees.

    Returns what was measured, which is in the file as well. Raises ExportError, and writes
    nothing, if any painted photo is below MIN_PSNR_DB.
    """
    graph = FrameGraph(net).eval()
    described = {
        "family": family,
        "styles": json.dumps([asdict(style) for style in styles], ensure_ascii=False),
    }
    model = export_graph(graph)
    return write_checked(model, described, training, out, lambda path: _verify(graph, path, photos))


def write_checked(
    model: onnx.ModelProto,
    described: dict[str, str],
    training: dict[str, Any],
    out: Path,
    verify: Callable[[Path], dict[str, Any]],
) -> dict[str, Any]:
    """Write `model` under `out`, its weights halved, with what describes it in its card, if
    `verify`, which is given a trial file, does not raise; returns what that found."""
    halve_weights(model)
    card = {
        "streamstyle_format": FORMAT,
        **described,
        "training": json.dumps(training, ensure_ascii=False),
        "verification": "{}",
    }
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        trial = Path(folder) / out.name
        save(model, card, trial)
        verification = verify(trial)
        save(model, {**card, "verification": json.dumps(verification)}, trial)
        trial.replace(out)
    return verification


def export_graph(graph: FrameGraph) -> onnx.ModelProto:
    """The ONNX graph alone: unchecked, and without a card."""
    example: tuple[Tensor, ...] = (EXAMPLE,)
    shapes: tuple[dict[int, Any] | None, ...] = (FRAME_SIZES,)
    names = ["frame"]
    if isinstance(graph.net, ManyStyle):
        example += (torch.zeros(len(graph.net.styles)),)
        shapes += (None,)
        names.append(STYLE_WEIGHTS)
    return trace(graph, example, shapes, names, ["stylized"])


def trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    shapes: tuple[dict[int, Any] | None, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> onnx.ModelProto:
    """The ONNX graph of `module`, whose first output has its first input's shape."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about torch's own code
        program = torch.onnx.export(
            module,
            example,
            dynamic_shapes=shapes,
            input_names=inputs,
            output_names=outputs,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
            optimize=False,
        )
    assert program is not None
    optimizer.optimize_ir(program.model, should_fold=_fold)
    model: onnx.ModelProto = program.model_proto
    output = model.graph.output[0].type.tensor_type
    output.CopyFrom(model.graph.input[0].type.tensor_type)  # exactly the same height and width
    for owner in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        del owner.metadata_props[:]  # the exporter's notes, paths of this machine among them
    for node in model.graph.node:
        node.ClearField("doc_string")
    return model


def _fold(node: Any) -> bool | None:
    """False if a constant is not to be computed now: what is made of a net's weights is left to the
    runtime, once for each size, so that the file holds the weights that `load_weights` looks for.
    None to let the optimizer decide."""
    names = [value.name for value in node.inputs if value is not None]
    return False if any(name.startswith(NET) for name in names) else None


def halve_weights(model: onnx.ModelProto) -> None:
    """Store large weights as float16 with a cast behind them: half the file, computed as before."""
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLESTHALVED:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        halved = numpy_helper.from_array(values.astype(np.float16), name + HALVED)
        tensor.CopyFrom(halved)
        cast = helper.make_node("Cast", [halved.name], [name], to=onnx.TensorProto.FLOAT)
        casts.append(cast)
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def save(model: onnx.ModelProto, card: dict[str, str], path: Path) -> None:
    del model.metadata_props[:]
    helper.set_model_props(model, card)
    model.producer_name, model.producer_version = "streamstyle", version("streamstyle")
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def keep_measured(path: Path, measured: dict[str, Any]) -> None:
    """Write into the card of the engine file `path` what was measured of it, in place of what was
    there."""
    model = onnx.load(path)
    card = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    helper.set_model_props(model, {**card, "measured": json.dumps(measured)})
    partial = path.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)


def load_weights(net: nn.Module, engine: Path) -> None:
    """Fill `net` with the weights of an engine file, which are in half precision.

    The file's net has the same architecture, or is narrower by a whole factor: `net` then paints
    as that one does, and has the more to learn with (Net2WiderNet, Chen et al. 2016). A net of many
    styles may have more of them than the file.
    """
    read_card(engine)
    stored = {
        tensor.name.removeprefix(NET).removesuffix(HALVED): numpy_helper.to_array(tensor)
        for tensor in onnx.load(engine).graph.initializer
        if tensor.name.startswith(NET)
    }
    weights = {name: torch.from_numpy(values.astype(np.float32)) for name, values in stored.items()}
    if isinstance(net, ManyStyle) and STYLES in weights:
        rows = weights[STYLES]
        missing = len(net.styles) - len(rows)
        # A new style begins as the mean of those that there are.
        weights[STYLES] = torch.cat([rows, rows.mean(dim=0, keepdim=True).expand(missing, -1)])
    for name, wanted in net.state_dict().items():
        if name in weights and name != STYLES and weights[name].ndim == wanted.ndim:
            weights[name] = _widened(weights[name], wanted.shape)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ExportError(
            f"{engine} is of another architecture, so its weights can't be taken over"
        ) from error


def _widened(values: Tensor, shape: torch.Size) -> Tensor:
    """Channels repeated to `shape`, where it is a multiple; each input then counts a part."""
    factors = [new // old for new, old in zip(shape, values.shape, strict=True)]
    if all(factor <= 1 for factor in factors):
        return values
    values = values.repeat(factors)
    if values.ndim == 1:
        return values
    # Twins that were exactly alike would get the same gradients and stay alike.
    noise = TWIN_NOISE * values.std() * torch.randn_like(values)
    return values / factors[1] + noise


class Comparison:
    """How far what a file paints is from what PyTorch does."""

    def __init__(self) -> None:
        self._worst_db = math.inf
        self._largest = 0

    def add(self, painted: NDArray[np.uint8], expected: Tensor) -> None:
        difference = np.abs(painted.astype(int) - expected.numpy().astype(int))
        self._largest = max(self._largest, int(difference.max()))
        self._worst_db = min(self._worst_db, psnr(painted, expected.numpy()))

    def verdict(self, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """For the card; `sizes` are the (height, width) of what was painted. Raises ExportError
        below MIN_PSNR_DB."""
        if self._worst_db < MIN_PSNR_DB:
            raise ExportError(
                f"the exported file paints differently from PyTorch: {self._worst_db:.1f} dB where "
                f"{MIN_PSNR_DB:.0f} are needed; nothing was written"
            )
        return {
            "against": "PyTorch float32",
            "sizes": [f"{width}x{height}" for height, width in sizes],
            "worst_psnr_db": round(min(self._worst_db, 99.0), 1),
            "largest_difference_of_255": self._largest,
        }


def frame_of(photo: Path, size: tuple[int, int]) -> Tensor:
    """A photograph as uint8 (1, H, W, 3) of this height and width."""
    rgb = nn.functional.interpolate(load_picture(photo), size, mode="area")
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _verify(graph: FrameGraph, path: Path, photos: Path) -> dict[str, Any]:
    """Paint photos of each size by PyTorch and by the file."""
    candidates = list_photos(photos)
    chosen = candidates[:: max(1, len(candidates) // len(SIZES))][: len(SIZES)]
    comparison = Comparison()
    chance = torch.Generator().manual_seed(0)
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        for index, size in enumerate(SIZES):
            frame = frame_of(chosen[index % len(chosen)], size)
            weights = None
            style = NO_STYLE
            if isinstance(graph.net, ManyStyle):
                weights = torch.rand(len(graph.net.styles), generator=chance)
                weights = (weights**4 / (weights**4).sum()).float()  # a mix in which some prevail
                style = {STYLE_WEIGHTS: weights.numpy()}
            with torch.no_grad():
                expected = graph(frame, weights)
            comparison.add(engine.paint(frame.numpy(), style), expected)
    return comparison.verdict(SIZES)


def psnr(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures in dB; infinite if they are equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
