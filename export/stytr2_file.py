"""Writing the engine file of StyTr2: one graph, which engines/split.py takes apart."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor, nn

from engines import MIN_SIDE, open_engine, read_card
from engines.card import FORMAT
from engines.style_image import style_of
from export.engine_file import (
    EXAMPLE,
    FRAME_SIZES,
    MIN_PSNR_DB,
    halve_weights,
    psnr,
    save,
    trace,
)
from export.errors import ExportError
from export.models.stytr2 import StyTr2
from export.photos import list_photos, load_picture
from export.train_stytr2 import FAMILY

STYLE_TENSORS = ("style_keys", "style_values")

SIZES = (
    ((256, 256), (256, 256)),
    ((288, 512), (256, 341)),
    ((517, 301), (193, 257)),
    ((MIN_SIDE, MIN_SIDE), (MIN_SIDE, 50)),
)
"""(height, width) of frame and picture that a new file is checked at."""


class PictureGraph(nn.Module):
    """Frames, uint8 (N, H, W, 3), and a picture, uint8 (1, h, w, 3), to uint8 of the frames' shape,
    and the tensors of the style, around a StyTr2."""

    def __init__(self, net: StyTr2) -> None:
        super().__init__()
        self.net = net

    def forward(self, frame: Tensor, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keys, values = self.net.style_of(_to_rgb(picture))
        painted = self.net.paint(_to_rgb(frame), keys, values)
        pixels = (painted.clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1), keys, values


def _to_rgb(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).to(torch.float32) / 255


def write_stytr2_engine(
    net: StyTr2, out: Path, training: dict[str, Any], photos: Path
) -> dict[str, Any]:
    """Export `net`, check the file against it on photos, and write it under `out` if it agrees.

    Returns what was measured, which is in the file as well. Raises ExportError, and writes
    nothing, if any painted photo is below MIN_PSNR_DB.
    """
    graph = PictureGraph(net).eval()
    model = export_picture_graph(graph)
    halve_weights(model)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        trial = Path(folder) / out.name
        card = {
            "streamstyle_format": FORMAT,
            "family": FAMILY,
            "styles": "[]",
            "style_tensors": json.dumps(STYLE_TENSORS),
            "training": json.dumps(training, ensure_ascii=False),
            "verification": "{}",
        }
        save(model, card, trial)
        verification = _verify(graph, trial, photos)
        card["verification"] = json.dumps(verification)
        save(model, card, trial)
        trial.replace(out)
    return verification


def export_picture_graph(graph: PictureGraph) -> onnx.ModelProto:
    """The ONNX graph alone: unchecked, and without a card."""
    picture = torch.zeros(1, 43, 58, 3, dtype=torch.uint8)
    sides = {
        1: torch.export.Dim("picture_height", min=MIN_SIDE),
        2: torch.export.Dim("picture_width", min=MIN_SIDE),
    }
    inputs = ("frame", "picture")
    outputs = ("stylized", *STYLE_TENSORS)
    model = trace(graph, (EXAMPLE, picture), (FRAME_SIZES, sides), inputs, outputs)
    # The tensors were outputs only to have a name, which they keep as values of the graph.
    config = graph.net.config
    attentions, per_head = 2 * config.decoder_layers, config.width // config.heads
    shape: list[int | str | None] = [1, attentions, config.heads, "patches", per_head]
    del model.graph.output[1:]
    model.graph.value_info.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in STYLE_TENSORS
    )
    return model


def _verify(graph: PictureGraph, path: Path, photos: Path) -> dict[str, Any]:
    """Paint photos of each size in the style of others by PyTorch and by the halves of the file;
    raises ExportError if they differ."""
    candidates = list_photos(photos)
    worst = math.inf
    largest = 0
    with open_engine(path, "openvino", "cpu", "fp32") as engine:
        for index, sizes in enumerate(SIZES):
            frame, picture = (
                _pixels(candidates[(2 * index + number) % len(candidates)], size)
                for number, size in enumerate(sizes)
            )
            with torch.no_grad():
                expected = graph(frame, picture)[0].numpy()
            painted = engine.paint(frame.numpy(), style_of(read_card(path), picture.numpy()))
            difference = np.abs(painted.astype(int) - expected.astype(int))
            largest = max(largest, int(difference.max()))
            worst = min(worst, psnr(painted, expected))
    if worst < MIN_PSNR_DB:
        raise ExportError(
            f"the exported file paints differently from PyTorch: {worst:.1f} dB where "
            f"{MIN_PSNR_DB:.0f} are needed; nothing was written"
        )
    return {
        "against": "PyTorch float32",
        "sizes": [f"{frame[1]}x{frame[0]}" for frame, _ in SIZES],
        "picture_sizes": [f"{picture[1]}x{picture[0]}" for _, picture in SIZES],
        "worst_psnr_db": round(min(worst, 99.0), 1),
        "largest_difference_of_255": largest,
    }


def _pixels(photo: Path, size: tuple[int, int]) -> Tensor:
    rgb = nn.functional.interpolate(load_picture(photo), size, mode="area")
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
