"""Compute whitening and coloring transforms in float64, from each frame's statistics.

The transforms are those of Li et al. (Universal Style Transfer via Feature Transforms, NIPS 2017).
The graph gives the statistics.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from engines.base import Style
from engines.errors import EngineError
from engines.model_card import ModelCard

WCT = "wct"
"""Name of the family in the card."""

DEFAULT_LEVELS = ("relu4_1",)
"""Levels that are painted by default.

The decoder of relu4_1 has learned to paint colored features, in their colors. Shallower levels
after it weaken its strokes and cost a pass each.
"""

FLOOR = 0.1
"""Share of the mean variance that is added to each variance before whitening.

Where a picture has next to no variance, whitening would amplify its noise, which flickers most. A
thousandth flickered half as much again in fast motion and looked no better. A flat picture stays
flat.
"""

TINY = 1e-8
"""Also added to each variance, so that no variance at all causes no division by zero."""

STATISTICS = ("content_mean", "content_covariance")
"""Outputs of a level's graph besides the painting."""

_Array = NDArray[np.float64]

_BLAS = ThreadpoolController()


@dataclass(frozen=True)
class Statistics:
    """Statistics of features in each of R regions: mean (R, C) and covariance (R, C, C)."""

    mean: _Array
    covariance: _Array

    def smoothed(self, other: "Statistics", kept: float) -> "Statistics":
        return Statistics(
            kept * self.mean + (1 - kept) * other.mean,
            kept * self.covariance + (1 - kept) * other.covariance,
        )

    def change(self, other: "Statistics") -> float:
        """Return the distance of the distributions relative to their spread.

        With several regions, this is the largest of their distances.
        """
        spread = np.trace(self.covariance + other.covariance, axis1=1, axis2=2)
        of_means = np.sum((self.mean - other.mean) ** 2, axis=1)
        of_spreads = np.linalg.norm(self.covariance - other.covariance, axis=(1, 2))
        return float(np.max((of_means + of_spreads) / (spread + TINY)))


def whitening(covariance: _Array) -> _Array:
    """Return equation 2's E D^(-1/2) E' of each (C, C), with a floor under the variances."""
    with on_one_core():
        variances, directions = np.linalg.eigh(covariance)
        variances = np.maximum(variances, 0) + floor(variances)
        return _composed(directions, 1 / np.sqrt(variances))


def floor(variances: _Array) -> _Array:
    """Return what is added to each of the variances (..., C) before whitening, as (..., 1)."""
    least: _Array = FLOOR * np.mean(np.maximum(variances, 0), axis=-1, keepdims=True) + TINY
    return least


def coloring(covariance: _Array) -> _Array:
    """Return equation 3's E D^(1/2) E' of each (C, C)."""
    with on_one_core():
        variances, directions = np.linalg.eigh(covariance)
        return _composed(directions, np.sqrt(np.maximum(variances, 0)))


def on_one_core() -> AbstractContextManager[Any]:
    """Return a context in which numpy uses one thread.

    Its other threads would wait by spinning. While they took the cores from the network, a frame
    took twice as long.
    """
    limited: AbstractContextManager[Any] = _BLAS.limit(limits=1, user_api="blas")
    return limited


def _composed(directions: _Array, factors: _Array) -> _Array:
    matrix: _Array = (directions * factors[..., None, :]) @ directions.swapaxes(-1, -2)
    return matrix


def style_of(
    card: ModelCard,
    statistics_at: Callable[[str], Statistics],
    levels: Sequence[str] = DEFAULT_LEVELS,
    alpha: float = 1.0,
) -> Style:
    """Return the style of a picture: the mean, coloring and alpha for each of `levels`.

    `statistics_at` returns the picture's statistics at a level. `alpha`, from 0 to 1, says how much
    of the content's own features gives way to the style (equation 4). All arrays are for one
    region, (1, ...).

    Styles of the same levels can be mixed by weights: because the transform is linear in them, this
    mixes the features (section 4.3).

    Raises EngineError if the model lacks a level or if `alpha` is out of range.
    """
    unknown = [level for level in levels if level not in card.parts]
    if unknown or not levels:
        raise EngineError(
            f"{card.path.name} has no level {', '.join(unknown) or 'to paint at'}; "
            f"it has {', '.join(card.parts)}"
        )
    if not 0 <= alpha <= 1:
        raise EngineError(f"alpha is from 0 to 1, got {alpha}")
    style: dict[str, NDArray[np.float32]] = {}
    for level in levels:
        statistics = statistics_at(level)
        style[f"{level}/mean"] = statistics.mean.astype(np.float32)
        style[f"{level}/coloring"] = coloring(statistics.covariance).astype(np.float32)
        style[f"{level}/alpha"] = np.full((1, 1), alpha, np.float32)
    return style


def in_regions(styles: Sequence[Style], masks: NDArray[np.float32]) -> Style:
    """Combine styles, one for each region, into one style.

    `masks` is (R, h, w), of any size. It says how much of each place is in each region, and sums to
    1 over the regions. The features of each region are whitened separately and decoded together.
    Raises EngineError if the styles have different levels.
    """
    names = {name for style in styles for name in style}
    if any(style.keys() != names for style in styles):
        raise EngineError("styles of different levels can't be painted side by side")
    arrays = {name: np.concatenate([style[name] for style in styles]) for name in names}
    return {**arrays, MASKS: masks}


PARTS = ("mean", "coloring", "alpha")
"""Arrays that a style has for each level."""

MASKS = "masks"

WHOLE = np.ones((1, 1, 1), np.float32)
"""Mask of one region, the whole frame."""


def statistics_in(outputs: Mapping[str, NDArray[Any]]) -> Statistics:
    """Return the frame's statistics from the outputs of a level's graph."""
    return Statistics(
        outputs["content_mean"].astype(float), outputs["content_covariance"].astype(float)
    )
