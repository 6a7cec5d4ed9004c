"""Sample sheets of a training: the same photographs in the same styles at regular steps."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional

from export.data.photos import to_image

TILE = 192
"""Side of a tile in pixels."""

QUALITY = 92  # JPEG quality


class Sheet(NamedTuple):
    """Photographs, style pictures, and each photograph in the style of each picture."""

    photos: Tensor
    """(P, 3, side, side), RGB, 0..1."""
    pictures: list[Tensor]
    """Style picture of each column, (1, 3, H, W)."""
    columns: list[Tensor]
    """Paintings in each style, (P, 3, side, side)."""


def save_sheet(run: Path, step: int, sheet: Sheet) -> None:
    """Write `samples/STEP.jpg` and, from all samples, `progress.jpg` in the folder `run`.

    A sample has the pictures on top and the photographs at the left. The progress sheet has a row
    for each of a few steps, at growing distances, and shows each style on one photograph.
    """
    corner = torch.ones(1, 3, TILE, TILE)
    columns = [torch.cat([corner, _tiles(sheet.photos)])]
    for picture, painted in zip(sheet.pictures, sheet.columns, strict=True):
        columns.append(torch.cat([_tiles(_square(picture)), _tiles(painted)]))
    grid = torch.cat([torch.cat([*column], dim=-2) for column in columns], dim=-1)
    folder = run / "samples"
    folder.mkdir(parents=True, exist_ok=True)
    to_image(grid).save(folder / f"{step:06d}.jpg", quality=QUALITY)
    _save_progress(run, sorted(folder.glob("*.jpg")))


def center_crops(photos: list[Tensor], side: int) -> Tensor:
    """Crop each photograph (1, 3, H, W) to its middle square and scale to (N, 3, side, side)."""
    return torch.cat([_resized(_square(photo), side) for photo in photos])


def _save_progress(run: Path, samples: list[Path]) -> None:
    rows = []
    for sample in samples:
        thousands, odd = divmod(int(sample.stem), 1000)
        if sample is samples[-1] or (not odd and thousands & (thousands - 1) == 0):
            rows.append(_strip(sample))
    widest = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 0), (0, widest - row.shape[1]), (0, 0))) for row in rows]
    Image.fromarray(np.vstack(rows)).save(run / "progress.jpg", quality=QUALITY)


def _strip(sample: Path) -> NDArray[np.uint8]:
    """Return a row of tiles of a sample sheet, each style on the next photograph, with its step."""
    with Image.open(sample) as image:
        pixels = np.asarray(image.convert("RGB"))
    photos, styles = (side // TILE - 1 for side in pixels.shape[:2])
    tiles = []
    for index in range(max(photos, styles)):
        top, left = (1 + index % photos) * TILE, (1 + index % styles) * TILE
        tiles.append(pixels[top : top + TILE, left : left + TILE])
    strip = Image.fromarray(np.hstack(tiles))
    ImageDraw.Draw(strip).text((4, 4), f"{int(sample.stem):,}", "white", stroke_width=1,
                               stroke_fill="black")  # fmt: skip
    return np.asarray(strip)


def _tiles(rgb: Tensor) -> Tensor:
    return _resized(rgb.float().cpu(), TILE)


def _resized(rgb: Tensor, side: int) -> Tensor:
    size = (side, side)
    return functional.interpolate(rgb, size, mode="bilinear", antialias=True, align_corners=False)


def _square(rgb: Tensor) -> Tensor:
    """Return the middle square of (1, 3, H, W)."""
    height, width = rgb.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return rgb[..., top : top + side, left : left + side]
