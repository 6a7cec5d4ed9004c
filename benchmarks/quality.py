"""How well styles are painted, by the losses of StyTr2 and by a sheet to look at:
python -m benchmarks.quality --photos PHOTOS --pictures PICTURES --sheet sheet.jpg STYLE...

The losses are those of Deng et al. (StyTr2, 2022), equations 9 and 10, table II, as the authors'
code has them: mean squared differences, the content's of features normalised in each channel. A
loss is no judge of a net that was trained with the same loss network, and none of beauty: look at
the sheet.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor

from engines import Engine
from export.loss_network import load_loss_network
from export.photos import list_photos, load_picture, to_image
from export.styles import read_styles
from streamstyle.styles import open_engine

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Of the style; the last one is the content's. The paper takes relu5_1 as well."""

SIDE = 256
"""Pixels of the short side at which photos are painted, and pictures are compared."""

TILE = 320
"""Pixels across, on the sheet."""


def main() -> None:
    """Print a Markdown table, a row for each style, and write the sheet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("styles", nargs="+", metavar="STYLE", help="name, or FILE.onnx:NAME")
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--pictures", type=Path, required=True, help="folder of the paintings")
    parser.add_argument("--table", type=Path, default=Path("export/sixteen.csv"))
    parser.add_argument("--network", default="vgg19", help="vgg16, vgg19 or a safetensors file")
    parser.add_argument("--sheet", type=Path, help="picture to write: photos down, styles across")
    options = parser.parse_args()
    network = load_loss_network(options.network, LAYERS)
    pictures = {s.name: Path(s.picture) for s in read_styles(options.table, options.pictures)}
    photos = [load_picture(path, SIDE) for path in list_photos(options.photos)]
    contents = [network(photo, LAYERS[-1:])[LAYERS[-1]] for photo in photos]
    print(f"{len(photos)} photos, loss network {Path(options.network).stem}\n")
    print("| style | content loss | style loss |\n|---|---|---|")
    columns = []
    for style in options.styles:
        wanted = network(load_picture(pictures[style.rpartition(":")[2]], SIDE))
        with open_engine(style) as engine:
            painted = [_painted(engine, photo) for photo in photos]
        losses = []
        for paint, content in zip(painted, contents, strict=True):
            features = network(paint)
            losses.append(
                (content_loss(features[LAYERS[-1]], content), style_loss(features, wanted))
            )
        of_content, of_style = np.mean(losses, axis=0)
        print(f"| {style.rpartition(':')[2]} | {of_content:.3f} | {of_style:.3f} |", flush=True)
        columns.append(np.vstack([_tile(paint) for paint in painted]))
    if options.sheet is not None:
        Pillow.fromarray(np.hstack(columns)).save(options.sheet)


def content_loss(painted: Tensor, photo: Tensor) -> float:
    """Equation 9 for one layer's features, (1, C, H, W)."""
    return float((_normalised(painted) - _normalised(photo)).square().mean())


def style_loss(painted: dict[str, Tensor], picture: dict[str, Tensor]) -> float:
    """Equation 10 for features by layer, each (1, C, H, W) of any size; summed over the layers."""
    total = 0.0
    for layer, features in painted.items():
        for statistic in (torch.mean, torch.std):
            difference = statistic(features, dim=(2, 3)) - statistic(picture[layer], dim=(2, 3))
            total += float(difference.square().mean())
    return total


def _normalised(features: Tensor) -> Tensor:
    mean, deviation = features.mean((2, 3), keepdim=True), features.std((2, 3), keepdim=True)
    return (features - mean) / (deviation + 1e-5)


def _painted(engine: Engine, photo: Tensor) -> Tensor:
    frame = (photo * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
    return torch.from_numpy(engine.paint(frame)).permute(0, 3, 1, 2).float() / 255


def _tile(painted: Tensor) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    height = round(TILE * painted.shape[2] / painted.shape[3])
    return np.asarray(to_image(painted[0]).resize((TILE, height), Pillow.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
