"""Load pairs of consecutive frames of real video, with the optical flow between them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from export.data.optical_flow import motion_between
from export.errors import ExportError

PAIRS = 12
"""Maximum number of pairs from each clip, spread over its beginning."""

SPREAD = 8
"""Distance in frames from one pair to the next."""


class Pair(NamedTuple):
    """Square crops from the same place in two consecutive frames."""

    before: Tensor
    """(3, H, W), RGB, 0..1."""
    after: Tensor
    grid: Tensor
    """Position in `before` of each pixel of `after`, (H, W, 2), as grid_sample takes it."""
    inside: Tensor
    """Mask (1, H, W): 1 where the pixel was in sight in `before`, else 0."""


class ClipPairs(Dataset[Pair]):
    """Dataset whose sample `i` is a random crop of a random pair, by `seed` and `i` alone."""

    def __init__(self, folder: Path, crop: int, samples: int, seed: int) -> None:
        """Read all videos in `folder`; crops are squares of `crop` pixels.

        Raises ExportError if a video can't be read or there is none.
        """
        self.crop = crop
        self.samples = samples
        self.seed = seed
        clips = sorted(path for path in folder.glob("*") if path.is_file())
        self._pairs = [pair for clip in clips for pair in _read_pairs(clip, crop)]
        if not self._pairs:
            raise ExportError(f"there is no video in {folder}; give a folder of videos")

    def __len__(self) -> int:
        return self.samples

    def __getitem__(self, index: int) -> Pair:
        random = np.random.default_rng((self.seed, index))
        before, after, origins, visible = self._pairs[random.integers(len(self._pairs))]
        height, width = visible.shape
        top = int(random.integers(height - self.crop + 1))
        left = int(random.integers(width - self.crop + 1))
        place = (slice(top, top + self.crop), slice(left, left + self.crop))
        grid = (origins[place] - (left, top) + 0.5) * (2 / self.crop) - 1
        inside = visible[place] & (np.abs(grid) <= 1).all(axis=2)
        return Pair(
            _to_tensor(before[place]),
            _to_tensor(after[place]),
            torch.from_numpy(grid.astype(np.float32)),
            torch.from_numpy(inside.astype(np.float32))[None],
        )


Image = NDArray[np.uint8]
_WholePair = tuple[Image, Image, NDArray[np.float32], NDArray[np.bool_]]


def _read_pairs(clip: Path, side: int) -> Iterator[_WholePair]:
    """Yield the frame pairs of a clip, scaled so that the shorter side is `side` pixels."""
    try:
        with av.open(str(clip), metadata_errors="replace") as container:
            before: Image | None = None
            for index, frame in enumerate(container.decode(video=0)):
                if index >= PAIRS * SPREAD:
                    break
                if index % SPREAD == 0:
                    before = _scaled(frame.to_ndarray(format="rgb24"), side)
                elif index % SPREAD == 1 and before is not None:
                    after = _scaled(frame.to_ndarray(format="rgb24"), side)
                    yield (before, after, *motion_between(before, after))
    except (av.FFmpegError, IndexError) as error:
        raise ExportError(f"cannot read the video {clip}: {error}") from error


def _scaled(image: NDArray[Any], side: int) -> Image:
    height, width = image.shape[:2]
    scale = side / min(height, width)
    size = (max(side, round(width * scale)), max(side, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _to_tensor(image: Image) -> Tensor:
    return torch.from_numpy(image.copy()).permute(2, 0, 1).float() / 255
