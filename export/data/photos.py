"""Load photographs and paintings, and cut training crops from them."""

import math
import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from engines.pictures import FORMATS, NO_PICTURE, open_picture, problem_of
from export.errors import ExportError


def list_photos(folder: Path) -> list[Path]:
    """Return the pictures in `folder` and below, sorted; raises ExportError if there are none.

    A file that holds a picture which can't be read here is left out, and a line on stderr says so.
    """
    photos = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        problem = problem_of(path)
        if problem is None:
            photos.append(path)
        elif problem != NO_PICTURE:
            print(f"note: {path} is left out: it is {problem}", file=sys.stderr)
    if not photos:
        raise ExportError(f"there are no photographs ({', '.join(FORMATS)}) in {folder}")
    return photos


def spread(paths: list[Path], count: int) -> list[Path]:
    """Return up to `count` of `paths`, evenly spread over all of them."""
    return paths[:: max(1, len(paths) // count)][:count]


def load_picture(path: Path, short_side: int | None = None) -> Tensor:
    """Load a picture as (1, 3, H, W), float32 RGB in 0..1.

    It is scaled to a short side of `short_side` pixels, if given. Raises ExportError if the file
    can't be read.
    """
    picture = _open_picture(path)
    if short_side is not None:
        scale = short_side / min(picture.size)
        size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return _to_tensor(picture)[None]


def _open_picture(path: Path) -> Image.Image:
    """Open a picture as RGB, upright."""
    try:
        with open_picture(path) as picture:
            return ImageOps.exif_transpose(picture).convert("RGB")
    except UnidentifiedImageError as error:
        raise ExportError(str(error)) from error
    except (OSError, Image.DecompressionBombError) as error:
        raise ExportError(f"cannot read the picture {path}: {error}") from error


class Crops:
    """Random square crops of pictures: sample `i` is (3, side, side), RGB in 0..1.

    All randomness comes from `seed` and `i` alone, so a training that resumes at sample `i` sees
    the same crops as without the pause.
    """

    def __init__(self, paths: list[Path], side: int, seed: int) -> None:
        self.paths = paths
        self.side = side
        self.seed = seed

    def __getitem__(self, index: int) -> Tensor:
        random = np.random.default_rng((self.seed, index))
        return _to_tensor(self.crop(self.draw(random), random))

    def draw(self, random: np.random.Generator) -> Path:
        """Draw one of the pictures at random."""
        return self.paths[random.integers(len(self.paths))]

    def crop(self, path: Path, random: np.random.Generator) -> Image.Image:
        """Return a random square crop, scaled to `side` pixels and mirrored half of the time.

        It takes from half the picture's short side to all of it. Small crops stand in for the
        smooth, blurred pixels of large frames, which photographs of a few hundred pixels do not
        have.
        """
        picture = _open_picture(path)
        extent = min(picture.size) * random.uniform(0.5, 1.0)
        left = random.uniform(0, picture.width - extent)
        top = random.uniform(0, picture.height - extent)
        crop = picture.resize(
            (self.side, self.side),
            Image.Resampling.BICUBIC,
            box=(left, top, left + extent, top + extent),
        )
        return ImageOps.mirror(crop) if random.random() < 0.5 else crop


class PaintingCrops(Crops):
    """Crops of paintings that balance artists and vary colors.

    An artist is drawn first, then a painting; the chance of an artist with n paintings is
    proportional to the square root of n. The artist is the part of the file's name before `__`, or
    else the name without its number. Some crops are recolored, so that a few hundred paintings
    stand for many.
    """

    RECOLORED = 0.5
    """Fraction of the crops that are recolored."""

    def __init__(self, paths: list[Path], side: int, seed: int) -> None:
        super().__init__(paths, side, seed)
        by_artist: dict[str, list[Path]] = {}
        for path in paths:
            by_artist.setdefault(_artist(path), []).append(path)
        self._artists = [*by_artist.values()]
        chances = np.sqrt([len(paintings) for paintings in self._artists])
        self._chances = chances / chances.sum()

    def draw(self, random: np.random.Generator) -> Path:
        paintings = self._artists[random.choice(len(self._artists), p=self._chances)]
        return paintings[random.integers(len(paintings))]

    def crop(self, path: Path, random: np.random.Generator) -> Image.Image:
        crop = super().crop(path, random)
        return _recolored(crop, random) if random.random() < self.RECOLORED else crop


def _artist(path: Path) -> str:
    artist, both, _title = path.stem.partition("__")
    return artist if both else artist.rstrip("0123456789-_ ")


def _recolored(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    """Return the picture with its gamma changed and, mostly, its hue turned about the gray axis."""
    rgb = np.asarray(picture, np.float32) / 255
    if random.random() < 0.7:
        angle = random.uniform(0, 2 * math.pi)
        # Rodrigues' rotation about (1, 1, 1)
        along, across = (1 - math.cos(angle)) / 3, math.sin(angle) / math.sqrt(3)
        row = [math.cos(angle) + along, along - across, along + across]
        rgb = rgb @ np.array([np.roll(row, shift) for shift in range(3)], np.float32).T
    rgb = rgb.clip(1e-3, 1) ** random.uniform(0.7, 1.4)
    return Image.fromarray((rgb * 255).round().astype(np.uint8))


class Samples(Protocol):
    """An endless sequence of samples; each depends on its number alone."""

    def __getitem__(self, index: int) -> Tensor: ...


def prefetch(
    sources: Sequence[Samples], batch_size: int, first: int
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Yield batch numbers from `first` on, without end, each with one batch from every source.

    Threads make the next batches while the current one is used. Processes are no alternative: one
    forked while other libraries' threads hold locks may wait for them forever. Threads are enough,
    as Pillow lets other threads run while it decodes and scales.
    """

    def make(number: int) -> tuple[Tensor, ...]:
        indices = range(number * batch_size, (number + 1) * batch_size)
        return tuple(torch.stack([source[index] for index in indices]) for source in sources)

    threads = max(1, (os.cpu_count() or 1) // 2)
    numbers = count(first)
    with ThreadPoolExecutor(threads, "photos") as pool:
        coming = deque((number, pool.submit(make, number)) for number in islice(numbers, threads))
        try:
            while True:
                number, batch = coming.popleft()
                ready = batch.result()
                coming.append((later := next(numbers), pool.submit(make, later)))
                yield number, ready
        finally:
            pool.shutdown(cancel_futures=True)


def _to_tensor(picture: Image.Image) -> Tensor:
    # With NumPy: PyTorch would start a thread pool for each thread that makes batches.
    pixels = np.asarray(picture, np.float32).transpose(2, 0, 1) / 255
    return torch.from_numpy(np.ascontiguousarray(pixels))


def to_image(rgb: Tensor) -> Image.Image:
    """Convert (3, H, W), RGB in 0..1, to a picture; values outside are clamped."""
    pixels = (rgb.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.cpu().numpy())


def frame_of(photo: Path, size: tuple[int, int]) -> Tensor:
    """Load a photograph as a uint8 frame (1, H, W, 3), resized to `size`, (height, width)."""
    rgb = nn.functional.interpolate(load_picture(photo), size, mode="area")
    return (rgb * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
