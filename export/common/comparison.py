"""How far what an engine paints is from what it was made of."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from export.errors import ExportError

MIN_PSNR_DB = 40.0
"""Below this, the file is not what was trained: half-precision weights alone cost about 50 dB."""

BEST_DB = 99.0
"""What is written where there is no difference at all: JSON has no infinity."""


class Comparison:
    """How far what a file paints is from what PyTorch does."""

    def __init__(self) -> None:
        self._worst_db = math.inf
        self._largest = 0

    def add(self, painted: NDArray[np.uint8], expected: Tensor) -> None:
        difference = np.abs(painted.astype(int) - expected.numpy().astype(int))
        self._largest = max(self._largest, int(difference.max()))
        self._worst_db = min(self._worst_db, psnr(painted, expected.numpy()))

    def verdict(self, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """For the card; `sizes` are the (height, width) of what was painted. Raises ExportError
        below MIN_PSNR_DB.
        """
        if self._worst_db < MIN_PSNR_DB:
            raise ExportError(
                f"the exported file paints differently from PyTorch: {self._worst_db:.1f} dB where "
                f"{MIN_PSNR_DB:.0f} are needed; nothing was written"
            )
        return {
            "against": "PyTorch float32",
            "sizes": [f"{width}x{height}" for height, width in sizes],
            "worst_psnr_db": round(min(self._worst_db, BEST_DB), 1),
            "largest_difference_of_255": self._largest,
        }


def psnr(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Peak signal-to-noise ratio of two uint8 pictures in dB; infinite if they are equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
