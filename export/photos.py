"""Training crops from a folder of photographs."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import Dataset

from export.errors import ExportError

Batch = TypeVar("Batch")

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp"}


def list_photos(folder: Path) -> list[Path]:
    photos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not photos:
        raise ExportError(f"no photographs ({', '.join(sorted(SUFFIXES))}) in {folder}")
    return photos


def load_picture(path: Path, short_side: int | None = None) -> Tensor:
    """A picture as (1, 3, H, W), float32 RGB, 0..1, scaled to `short_side` pixels if given."""
    try:
        picture = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    except (OSError, Image.DecompressionBombError) as error:
        raise ExportError(f"cannot read the picture {path}: {error}") from error
    if short_side is not None:
        scale = short_side / min(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _to_tensor(picture)[None]


class PhotoCrops(Dataset[Tensor]):
    """Sample `i` is a random square crop, (3, crop, crop), RGB, 0..1.

    Everything random about it comes from `seed` and `i` alone: a training that resumes at sample
    `i` sees what it would have seen without the pause.
    """

    def __init__(self, photos: list[Path], crop: int, samples: int, seed: int) -> None:
        self.photos = photos
        self.crop = crop
        self.samples = samples
        self.seed = seed

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Tensor:
        random = np.random.default_rng((self.seed, index))
        photo = Image.open(self.photos[random.integers(len(self.photos))]).convert("RGB")
        # From half the photo to all of it: small crops stand in for the smooth, blurred pixels of
        # large frames, which photographs of a few hundred pixels do not have.
        side = min(photo.size) * random.uniform(0.5, 1.0)
        left = random.uniform(0, photo.width - side)
        top = random.uniform(0, photo.height - side)
        crop = photo.resize(
            (self.crop, self.crop),
            Image.Resampling.BICUBIC,
            box=(left, top, left + side, top + side),
        )
        if random.random() < 0.5:
            crop = ImageOps.mirror(crop)
        return _to_tensor(crop)


def one_ahead(batches: Iterable[Batch]) -> Iterator[Batch]:
    """`batches`, each made by a thread while the one before it is used.

    Not by a process: one that is forked while other libraries' threads hold locks may wait for them
    for ever, and Pillow lets other threads run while it decodes and scales.
    """
    iterator = iter(batches)
    with ThreadPoolExecutor(1, "photos") as thread:
        coming = thread.submit(next, iterator, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, iterator, None)
            yield batch


def _to_tensor(picture: Image.Image) -> Tensor:
    # By NumPy: PyTorch would give the thread that makes batches a team of threads of its own.
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
    return torch.from_numpy(np.ascontiguousarray(pixels))


def to_image(rgb: Tensor) -> Image.Image:
    """(3, H, W), RGB, 0..1 and clamped to it, as a picture."""
    pixels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.cpu().numpy())


def frame_of(photo: Path, size: tuple[int, int]) -> Tensor:
    """A photograph as uint8 (1, H, W, 3) of this height and width."""
    rgb = nn.functional.interpolate(load_picture(photo), size, mode="area")
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
