"""Write the engine file of StyTr2: one graph, which engines/subgraphs.py takes apart."""

import json
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from engines import MIN_SIDE, open_engine, read_card
from engines.style_encoder import style_of
from export.common.comparison import Comparison
from export.common.engine_file import EXAMPLE, FRAME_SIZES, Description, trace, write_checked
from export.common.pixels import to_pixels, to_unit
from export.common.precisions import Sample, other_precisions
from export.data.photos import frame_of, list_photos
from export.families.stytr2.model import StyTr2
from export.families.stytr2.train import FAMILY

STYLE_TENSORS = ("style_keys", "style_values")

MOST_PIXELS = 640 * 480
"""Maximum pixels per frame: see StyTr2."""

SIZES = (
    ((256, 256), (256, 256)),
    ((288, 512), (256, 341)),
    ((517, 301), (193, 257)),
    ((MIN_SIDE, MIN_SIDE), (MIN_SIDE, 50)),
)
"""(height, width) of frame and picture at which a new file is checked."""


class PictureGraph(nn.Module):
    """Wraps a StyTr2 so that it paints uint8 frames in the style of a uint8 picture.

    It takes frames (N, H, W, 3) and a picture (1, h, w, 3). It returns frames of the same shape and
    the style's keys and values.
    """

    def __init__(self, net: StyTr2) -> None:
        super().__init__()
        self.net = net

    def forward(self, frame: Tensor, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rgb, style = (to_unit(pixels.permute(0, 3, 1, 2)) for pixels in (frame, picture))
        keys, values = self.net.style_of(style)
        painted = self.net.paint(rgb, keys, values)
        return to_pixels(painted).permute(0, 2, 3, 1), keys, values


def write_stytr2_engine(
    net: StyTr2, out: Path, training: dict[str, Any], photos: Path
) -> dict[str, Any]:
    """Export `net`, compare the file with it on photos, and write it to `out` if both agree.

    Returns the measurements, which the file holds as well. Raises ExportError, and writes nothing,
    if any painted photo differs too much.
    """
    graph = PictureGraph(net).eval()
    card = {
        **Description(FAMILY, training=training).as_card(),
        "style_tensors": json.dumps(STYLE_TENSORS),
        "most_pixels": str(MOST_PIXELS),
    }
    model = export_picture_graph(graph)
    return write_checked(model, card, out, lambda path: _verify(graph, path, photos))


def export_picture_graph(graph: PictureGraph) -> onnx.ModelProto:
    """Return the ONNX graph alone, unchecked and without a card."""
    picture = torch.zeros(1, 43, 58, 3, dtype=torch.uint8)
    sides = {
        1: torch.export.Dim("picture_height", min=MIN_SIDE),
        2: torch.export.Dim("picture_width", min=MIN_SIDE),
    }
    inputs = ("frame", "picture")
    outputs = ("stylized", *STYLE_TENSORS)
    model = trace(graph, (EXAMPLE, picture), (FRAME_SIZES, sides), inputs, outputs)
    # The tensors were outputs only to get names, which they keep as values of the graph.
    config = graph.net.config
    attentions, per_head = 2 * config.decoder_layers, config.width // config.heads
    shape: list[int | str | None] = [1, attentions, config.heads, "patches", per_head]
    del model.graph.output[1:]
    model.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in STYLE_TENSORS
    )
    return model


def _verify(graph: PictureGraph, path: Path, photos: Path) -> dict[str, Any]:
    """Compare both parts of the file with PyTorch and return the measurements.

    Photos of each size are painted in the style of other photos.
    """
    candidates = list_photos(photos)
    comparison = Comparison()
    samples = []
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        for index, sizes in enumerate(SIZES):
            frame, picture = (
                frame_of(candidates[(2 * index + number) % len(candidates)], size)
                for number, size in enumerate(sizes)
            )
            with torch.no_grad():
                expected = graph(frame, picture)[0]
            style = style_of(read_card(path), picture.numpy())
            comparison.add(engine.paint(frame.numpy(), style), expected)
            samples.append(Sample(frame.numpy(), style, expected.numpy()))
    return {
        **comparison.verdict(frame for frame, _ in SIZES),
        "picture_sizes": [f"{width}x{height}" for _, (height, width) in SIZES],
        **other_precisions(path, samples),
    }
