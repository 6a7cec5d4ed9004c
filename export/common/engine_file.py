"""Write engines: ONNX files that keep the contract of engines/base.py."""

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxscript import optimizer
from torch import Tensor, nn

from engines import (
    MIN_SIDE,
    NO_STYLE,
    STYLE_WEIGHTS,
    Style,
    StyleCard,
    open_engine,
    read_card,
)
from engines.model_card import FORMAT
from engines.subgraphs import part_name
from export.common.calibration import calibrated
from export.common.comparison import Comparison
from export.common.pixels import to_pixels, to_unit
from export.common.precisions import Sample, other_precisions
from export.data.photos import frame_of, list_photos
from export.errors import ExportError
from export.families.any_picture.model import AnyPicture
from export.families.many_style.model import ManyStyle

OPSET = 20

SIZES = ((480, 640), (359, 641), (MIN_SIDE, MIN_SIDE), (320, 180))
"""(height, width) at which a new file is checked: usual, odd, smallest and portrait."""

HALVED = "_half"
"""Suffix of the names of weights that are stored in half precision."""

TWIN_NOISE = 0.01
"""Standard deviation of the noise that sets repeated channels apart.

It is a fraction of the weights' standard deviation.
"""

NET = "net."
"""Prefix of the names of a net's weights."""

BASE = "base"
"""Name of the AnyPicture weight to which predicted differences are added."""

STYLES = "styles"
"""Name of the ManyStyle weight that has one row per style."""

SMALLEST_HALVED = 1024
"""Minimum size of a tensor, in numbers, for which half precision is worth its cast."""


EXAMPLE = torch.zeros(2, 37, 50, 3, dtype=torch.uint8)
"""Example frames for export, of a size that cannot be mistaken for a constant."""

FRAME_SIZES = {
    0: torch.export.Dim("batch"),
    1: torch.export.Dim("height", min=MIN_SIDE),
    2: torch.export.Dim("width", min=MIN_SIDE),
}


@dataclass(frozen=True)
class Description:
    """What the card of a new engine file says of its net."""

    family: str
    styles: Sequence[StyleCard] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    """Commands, losses and data."""
    strokes: Sequence[float] = (1.0,)
    """Sizes of the style's picture, each with a row in every style."""

    def as_card(self) -> dict[str, str]:
        """Return the entries of the card, which are text."""
        return {
            "family": self.family,
            "styles": json.dumps([asdict(style) for style in self.styles], ensure_ascii=False),
            "training": json.dumps(self.training, ensure_ascii=False),
            "strokes": json.dumps([*self.strokes]),
        }


class FrameGraph(nn.Module):
    """Wraps a net so that it maps uint8 frames (N, H, W, 3) to uint8 frames of the same shape.

    A net for many styles also takes style weights (S,). The wrapped net maps RGB (N, 3, H, W) in
    0..1.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, frame: Tensor, weights: Tensor | None = None) -> Tensor:
        if isinstance(self.net, ManyStyle):
            assert weights is not None
            return self.net.paint_frames(frame, weights[None])
        painted = self.net(to_unit(frame.permute(0, 3, 1, 2)))
        return to_pixels(painted).permute(0, 2, 3, 1)


def write_engine(
    net: nn.Module, out: Path, description: Description, photos: Path
) -> dict[str, Any]:
    """Export `net`, compare the file with it on photos, and write it to `out` if both agree.

    Returns the measurements, which the file holds as well. Raises ExportError, and
    writes nothing, if any painted photo differs too much.
    """
    graph = FrameGraph(net).eval()
    model = export_graph(graph)
    tried: list[Style] = [NO_STYLE]
    if isinstance(net, ManyStyle):
        tried = [{STYLE_WEIGHTS: weights} for weights in np.eye(len(net.styles), dtype=np.float32)]
    ranges, int8_db = calibrated(model.SerializeToString(), tried, photos)

    def verify(path: Path) -> dict[str, Any]:
        return {**_verify(graph, path, photos), "int8_worst_psnr_db": int8_db}

    card = {**description.as_card(), "ranges": json.dumps(ranges)}
    return write_checked(model, card, out, verify)


def write_checked(
    model: onnx.ModelProto,
    card: dict[str, str],
    out: Path,
    verify: Callable[[Path], dict[str, Any]],
) -> dict[str, Any]:
    """Write `model` with half-precision weights to `out` if `verify` accepts a trial file.

    `card` describes the model. `verify` raises an error to reject the file; otherwise it
    returns measurements, which go into the card and are returned from here.
    """
    halve_weights(model)
    card = {"streamstyle_format": FORMAT, **card, "verification": "{}"}
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        trial = Path(folder) / out.name
        save(model, card, trial)
        verification = verify(trial)
        save(model, {**card, "verification": json.dumps(verification)}, trial)
        trial.replace(out)
    return verification


def export_graph(graph: FrameGraph) -> onnx.ModelProto:
    """Return the ONNX graph alone, unchecked and without a card."""
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
    """Return the ONNX graph of `module`; its first output has the shape of its first input."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # from torch's own code
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
        del owner.metadata_props[:]  # the exporter's notes, with local paths
    for node in model.graph.node:
        node.ClearField("doc_string")
    return model


def _fold(node: Any) -> bool | None:
    """Return False for a node made of a net's weights, which must not be folded into a constant.

    The runtime computes such nodes once for each size, and the file keeps the weights that
    `load_weights` looks for. None leaves the decision to the optimizer.
    """
    names = [value.name for value in node.inputs if value is not None]
    return False if any(name.startswith(NET) for name in names) else None


def halve_weights(model: onnx.ModelProto) -> None:
    """Store large weights as float16, each with a cast to float32 after it.

    This halves the file; the computation stays in float32.
    """
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
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
    """Check `model` and write it to `path` with `card` as its metadata."""
    del model.metadata_props[:]
    helper.set_model_props(model, card)
    model.producer_name, model.producer_version = "streamstyle", version("streamstyle")
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def keep_measured(path: Path, measured: dict[str, Any]) -> None:
    """Write `measured` into the card of the engine file `path`, replacing older measurements."""
    model = onnx.load(path)
    card = {entry.key: entry.value for entry in model.metadata_props}
    del model.metadata_props[:]
    helper.set_model_props(model, {**card, "measured": json.dumps(measured)})
    partial = path.with_suffix(".partial")
    partial.write_bytes(model.SerializeToString())
    partial.replace(path)


def load_weights(net: nn.Module, engine: Path, part: str | None = None) -> None:
    """Fill `net` with the half-precision weights of an engine file, or of one part of it.

    The file's net must have the same architecture. A net that has only convolutions may also be
    wider by a whole factor: it then paints like the file's net and can learn more (Net2WiderNet,
    Chen et al. 2016). A net for many styles may have more styles than the file. Raises ExportError
    if the architectures differ.
    """
    read_card(engine)
    prefix = NET if part is None else part_name(part, NET)
    stored = {
        tensor.name.removeprefix(prefix).removesuffix(HALVED): numpy_helper.to_array(tensor)
        for tensor in onnx.load(engine).graph.initializer
        if tensor.name.startswith(prefix)
    }
    weights = {name: torch.from_numpy(values.astype(np.float32)) for name, values in stored.items()}
    if isinstance(net, ManyStyle):
        rows = weights.get(STYLES, net.styles.detach()[:0])  # a file for any picture may have none
        if isinstance(net, AnyPicture) and BASE not in weights:
            weights = {**net.state_dict(), **weights, BASE: rows.mean(dim=0)}
        # A new style begins as the base row, or as the mean of the known styles.
        new = (weights[BASE] if BASE in weights else rows.mean(dim=0)).expand_as(net.styles)
        weights[STYLES] = torch.cat([rows, new[len(rows) :]])[: len(net.styles)]
    widens = not any(isinstance(module, nn.Linear) for module in net.modules())
    for name, wanted in net.state_dict().items():
        if widens and name in weights and name != STYLES and weights[name].ndim == wanted.ndim:
            weights[name] = _widened(weights[name], wanted.shape)
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ExportError(
            f"{engine} has another architecture, so its weights cannot be loaded"
        ) from error


def _widened(values: Tensor, shape: torch.Size) -> Tensor:
    """Repeat channels up to `shape`, a multiple of the old one, without changing the result.

    The weights of repeated inputs are divided by the factor.
    """
    factors = [new // old for new, old in zip(shape, values.shape, strict=True)]
    if all(factor <= 1 for factor in factors):
        return values
    values = values.repeat(factors)
    if values.ndim == 1:
        return values
    # Exact twins would get the same gradients and stay identical.
    noise = TWIN_NOISE * values.std() * torch.randn_like(values)
    return values / factors[1] + noise


def _verify(graph: FrameGraph, path: Path, photos: Path) -> dict[str, Any]:
    """Compare the file with PyTorch on photos of each size and return the measurements."""
    candidates = list_photos(photos)
    chosen = candidates[:: max(1, len(candidates) // len(SIZES))][: len(SIZES)]
    comparison = Comparison()
    samples = []
    chance = torch.Generator().manual_seed(0)
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        for index, size in enumerate(SIZES):
            frame = frame_of(chosen[index % len(chosen)], size)
            weights = None
            style = NO_STYLE
            if isinstance(graph.net, ManyStyle):
                weights = torch.rand(len(graph.net.styles), generator=chance)
                weights = (weights**4 / (weights**4).sum()).float()  # a mix in which a few dominate
                style = {STYLE_WEIGHTS: weights.numpy()}
            with torch.no_grad():
                expected = graph(frame, weights)
            comparison.add(engine.paint(frame.numpy(), style), expected)
            samples.append(Sample(frame.numpy(), style, expected.numpy()))
    return {**comparison.verdict(SIZES), **other_precisions(path, samples)}
