"""Write the engine file of a net for any picture.

The file holds one graph. engines/subgraphs.py cuts it into the part that runs once per picture and
the part that runs for each frame.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from onnx.utils import Extractor
from torch import Tensor, nn

from engines import (
    MIN_SIDE,
    STYLE_ROW,
    STYLE_WEIGHTS,
    Style,
    open_engine,
    read_card,
    style_of,
)
from engines.subgraphs import PICTURE
from export.common.calibration import calibrated
from export.common.comparison import Comparison
from export.common.engine_file import EXAMPLE, FRAME_SIZES, Description, trace, write_checked
from export.common.pixels import to_unit
from export.common.precisions import Sample, other_precisions
from export.data.photos import frame_of, list_photos, spread
from export.families.any_picture.model import AnyPicture

SIZES = (
    ((480, 640), (384, 512)),
    ((359, 641), (193, 257)),
    ((MIN_SIDE, MIN_SIDE), (MIN_SIDE, 50)),
    ((320, 180), (256, 200)),
)
"""(height, width) of frame and picture at which a new file is checked."""

TRIED = 12
"""Pictures whose styles are tried in 8 bits."""

TRIED_SIZE = (384, 384)
"""(height, width) in pixels of the pictures tried in 8 bits."""


class AnyPictureGraph(nn.Module):
    """Paints uint8 frames in a mix of a picture's style and named styles.

    It takes frames (N, H, W, 3), a picture (1, h, w, 3), both uint8, and the weights of named
    styles, (S,). It returns uint8 frames of the same shape and the picture's row, which is added to
    the weighted rows of the named styles.
    """

    def __init__(self, net: AnyPicture) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, frame: Tensor, picture: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        row = self.net.rows_of(to_unit(picture.permute(0, 3, 1, 2)))
        rows = row if weights is None else row + weights[None] @ self.net.styles
        return self.net.paint_pixels(frame, rows), row


def write_any_picture_engine(
    net: AnyPicture, out: Path, description: Description, photos: Path, pictures: Path
) -> dict[str, Any]:
    """Export `net`, compare the file with it on photos, and write it to `out` if both agree.

    The photos are painted in the style of `pictures`. Returns the measurements, which the file
    holds as well. Raises ExportError, and writes nothing, if any painted photo differs too much.
    """
    graph = AnyPictureGraph(net).eval()
    model = export_any_picture_graph(graph)
    inputs = [port.name for port in model.graph.input if port.name != PICTURE]
    frames_half = Extractor(model).extract_model([*inputs, STYLE_ROW], ["stylized"])
    tried = _styles(net, spread(list_photos(pictures), TRIED))
    ranges, int8_db = calibrated(frames_half.SerializeToString(), tried, photos)
    card = {
        **description.as_card(),
        "style_tensors": json.dumps([STYLE_ROW]),
        "row_length": str(len(net.base)),
        "ranges": json.dumps(ranges),
    }

    def verify(path: Path) -> dict[str, Any]:
        return {**_verify(net, path, photos, pictures), "int8_worst_psnr_db": int8_db}

    return write_checked(model, card, out, verify)


def export_any_picture_graph(graph: AnyPictureGraph) -> onnx.ModelProto:
    """Return the ONNX graph alone, unchecked and without a card."""
    sides = {
        1: torch.export.Dim("picture_height", min=MIN_SIDE),
        2: torch.export.Dim("picture_width", min=MIN_SIDE),
    }
    example: tuple[Tensor, ...] = (EXAMPLE, torch.zeros(1, 43, 58, 3, dtype=torch.uint8))
    shapes: tuple[dict[int, Any] | None, ...] = (FRAME_SIZES, sides)
    inputs = ["frame", PICTURE]
    if len(graph.net.styles):
        example += (torch.zeros(len(graph.net.styles)),)
        shapes += (None,)
        inputs.append(STYLE_WEIGHTS)
    model = trace(graph, example, shapes, inputs, ["stylized", STYLE_ROW])
    # The row was an output only to get a name, which it keeps as a value of the graph.
    del model.graph.output[1:]
    shape = [1, len(graph.net.base)]
    model.graph.value_info.append(
        helper.make_tensor_value_info(STYLE_ROW, TensorProto.FLOAT, shape)
    )
    return model


def _styles(net: AnyPicture, pictures: Sequence[Path]) -> list[Style]:
    """Return the style inputs for each picture and each named style."""
    named = len(net.styles)
    no_weights = {STYLE_WEIGHTS: np.zeros(named, np.float32)} if named else {}
    styles: list[Style] = []
    for picture in pictures:
        with torch.no_grad():
            row = net.rows_of(to_unit(frame_of(picture, TRIED_SIZE).permute(0, 3, 1, 2)))
        styles.append({STYLE_ROW: row.numpy().astype(np.float32), **no_weights})
    no_row = np.zeros((1, len(net.base)), np.float32)
    for weights in np.eye(named, dtype=np.float32):
        styles.append({STYLE_ROW: no_row, STYLE_WEIGHTS: weights})
    return styles


def _verify(net: AnyPicture, path: Path, photos: Path, pictures: Path) -> dict[str, Any]:
    """Compare both parts of the file with PyTorch and return the measurements.

    Photos of each size are painted in the style of pictures, mixed with named styles.
    """
    frames, styles = list_photos(photos), list_photos(pictures)
    comparison = Comparison()
    samples = []
    named = len(net.styles)
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        for index, sizes in enumerate(SIZES):
            frame, picture = (
                frame_of(paths[index % len(paths)], size)
                for paths, size in zip((frames, styles), sizes, strict=True)
            )
            style: Style = style_of(read_card(path), picture.numpy())
            with torch.no_grad():
                rows = net.rows_of(to_unit(picture.permute(0, 3, 1, 2)))
                if named:  # half the picture's style, half a named style
                    weights = torch.zeros(named)
                    weights[index % named] = 0.5
                    half = np.float32(0.5) * style[STYLE_ROW]
                    style = {STYLE_WEIGHTS: weights.numpy(), STYLE_ROW: half}
                    rows = rows / 2 + weights[None] @ net.styles
                expected = net.paint_pixels(frame, rows)
            comparison.add(engine.paint(frame.numpy(), style), expected)
            samples.append(Sample(frame.numpy(), style, expected.numpy()))
    return {
        **comparison.verdict(frame for frame, _ in SIZES),
        "picture_sizes": [f"{width}x{height}" for _, (height, width) in SIZES],
        **other_precisions(path, samples),
    }
