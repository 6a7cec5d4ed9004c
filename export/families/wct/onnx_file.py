"""Write the engine file of WCT: one graph, in which each level is a part of its own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor

from engines import open_part
from engines.subgraphs import part_name
from engines.wct.transform import coloring, whitening
from export.common.comparison import Comparison
from export.common.engine_file import EXAMPLE, SIZES, Description, trace, write_checked
from export.common.precisions import Sample, other_precisions
from export.data.photos import frame_of, list_photos
from export.families.wct.autoencoders import Autoencoders
from export.families.wct.config import FAMILY
from export.families.wct.model import LevelGraph

INPUTS = ("frame", "transform", "center", "shift", "masks")
OUTPUTS = ("stylized", "content_mean", "content_covariance")


def write_wct_engine(
    nets: Autoencoders, out: Path, training: dict[str, Any], photos: Path
) -> dict[str, Any]:
    """Export the levels of `nets`, check the file on photos, and write it if both agree.

    Returns the measurements, which the file holds as well. Raises ExportError, and writes nothing,
    if any painted photo differs too much.
    """
    graphs = {level: LevelGraph(nets.net(level)).eval() for level in nets.nets}
    return write_levels(graphs, out, training, lambda path: _verify(graphs, path, photos))


def write_levels(
    graphs: dict[str, LevelGraph],
    out: Path,
    training: dict[str, Any],
    verify: Callable[[Path], dict[str, Any]],
) -> dict[str, Any]:
    """Write the engine as `write_wct_engine` does, but check it with `verify`."""
    described = Description(FAMILY, training=training).as_card()
    card = {**described, "parts": json.dumps(list(graphs))}
    return write_checked(export_levels(graphs), card, out, verify)


def export_levels(graphs: dict[str, LevelGraph]) -> onnx.ModelProto:
    """Return one graph of all levels.

    The levels share `frame` and the weights of a VGG encoder; all other names are LEVEL/NAME (see
    engines/subgraphs.py).
    """
    whole: onnx.ModelProto | None = None
    for level, graph in graphs.items():
        model = _export_level(graph)
        _name_after(model, level)
        if whole is None:
            whole = model
            continue
        known = {tensor.name for tensor in whole.graph.initializer}
        whole.graph.node.extend(model.graph.node)
        whole.graph.output.extend(model.graph.output)
        whole.graph.input.extend(port for port in model.graph.input if port.name != "frame")
        whole.graph.initializer.extend(
            tensor for tensor in model.graph.initializer if tensor.name not in known
        )
    assert whole is not None
    del whole.graph.value_info[:]
    return whole


def _export_level(graph: LevelGraph) -> onnx.ModelProto:
    channels = graph.net.channels
    example = (
        EXAMPLE,
        torch.zeros(2, channels, channels),
        torch.zeros(2, channels),
        torch.zeros(2, channels),
        torch.zeros(2, 3, 5),
    )
    free = torch.export.Dim.DYNAMIC  # the exporter rejects a named size with a minimum here
    by_region = {0: free}
    shapes = (
        {0: free, 1: free, 2: free},
        by_region,
        by_region,
        by_region,
        {0: free, 1: free, 2: free},
    )
    return trace(graph, example, shapes, INPUTS, OUTPUTS)


def _name_after(model: onnx.ModelProto, level: str) -> None:
    """Put `level` before every name except those that the levels share."""
    shared = {"", "frame"}
    shared |= {tensor.name for tensor in model.graph.initializer if _is_shared(tensor.name)}

    def renamed(name: str) -> str:
        return name if name in shared else part_name(level, name)

    for node in model.graph.node:
        node.name = part_name(level, node.name)
        node.input[:] = [renamed(name) for name in node.input]
        node.output[:] = [renamed(name) for name in node.output]
    for tensor in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        tensor.name = renamed(tensor.name)
    del model.graph.value_info[:]


def _is_shared(name: str) -> bool:
    return name.startswith("net.encoder.convolutions.")  # weights of a VGG


def _verify(graphs: dict[str, LevelGraph], path: Path, photos: Path) -> dict[str, Any]:
    """Compare each part of the file with PyTorch and return the measurements.

    Photos of each size are painted in the style of other photos.
    """
    candidates = list_photos(photos)
    comparison = Comparison()
    samples = []
    for level, graph in graphs.items():
        with open_part(path, level, "openvino", "cpu", "fp32") as engine:
            for index, size in enumerate(SIZES):
                frame, picture = (
                    frame_of(candidates[(index + number) % len(candidates)], size)
                    for number in range(2)
                )
                inputs = _half_transferred(graph, frame, picture)
                with torch.no_grad():
                    expected = graph(frame, *inputs.values())[0]
                arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
                comparison.add(engine.paint(frame.numpy(), arrays), expected)
                samples.append(Sample(frame.numpy(), arrays, expected.numpy(), level))
    return {**comparison.verdict(SIZES), **other_precisions(path, samples)}


def _half_transferred(graph: LevelGraph, frame: Tensor, picture: Tensor) -> dict[str, Tensor]:
    """Return inputs of the graph that change only the right half of the frame.

    The features of the left half stay as they are; those of the right half get the picture's
    statistics.
    """
    channels = graph.net.channels
    same, nowhere = torch.eye(channels)[None], torch.zeros(1, channels)
    as_is = {"transform": same, "center": nowhere, "shift": nowhere, "masks": torch.ones(1, 1, 1)}
    with torch.no_grad():
        (_, mean, covariance), (_, wanted_mean, wanted) = (
            graph(rgb, *as_is.values()) for rgb in (frame, picture)
        )
    transform = coloring(wanted.double().numpy()) @ whitening(covariance.double().numpy())
    left = torch.tensor([1.0, 0.0])
    return {
        "transform": torch.cat([same, torch.from_numpy(transform).float()]),
        "center": torch.cat([nowhere, mean]),
        "shift": torch.cat([nowhere, wanted_mean]),
        "masks": torch.stack([left, 1 - left])[:, None],
    }
