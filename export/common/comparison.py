"""Measure how far an engine's frames are from those of the PyTorch net it was exported from."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from export.errors import ExportError

MIN_PSNR_DB = 40.0
"""Minimum PSNR in dB of an exported file against PyTorch.

Half-precision weights alone leave about 50 dB, so a file below this is not the trained net.
"""

BEST_DB = 99.0
"""PSNR in dB that is recorded for identical frames: JSON has no infinity."""


class Comparison:
    """The largest differences between frames of an exported file and frames of PyTorch."""

    def __init__(self) -> None:
        self._worst_db = math.inf
        self._largest = 0

    def add(self, painted: NDArray[np.uint8], expected: Tensor) -> None:
        """Add uint8 frames of the file and the `expected` frames of the same shape."""
        difference = np.abs(painted.astype(int) - expected.numpy().astype(int))
        self._largest = max(self._largest, int(difference.max()))
        self._worst_db = min(self._worst_db, psnr(painted, expected.numpy()))

    def verdict(self, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
        """Return the results for the card; `sizes` are the (height, width) of the frames.

        Raises ExportError if the worst PSNR is below MIN_PSNR_DB.
        """
        if self._worst_db < MIN_PSNR_DB:
            raise ExportError(
                f"the exported file paints differently from PyTorch: PSNR {self._worst_db:.1f} dB, "
                f"at least {MIN_PSNR_DB:.0f} needed; nothing was written"
            )
        return {
            "against": "PyTorch float32",
            "sizes": [f"{width}x{height}" for height, width in sizes],
            "worst_psnr_db": round(min(self._worst_db, BEST_DB), 1),
            "largest_difference_of_255": self._largest,
        }


def psnr(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> float:
    """Return the peak signal-to-noise ratio in dB of two uint8 pictures; infinite if equal."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)
