"""Whitening and coloring: the transforms of Li et al. (Universal Style Transfer via Feature
Transforms, NIPS 2017), made in float64 from the statistics that the graph gives of each frame.
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
"""The family, in the card."""

DEFAULT_LEVELS = ("relu4_1",)
"""Its decoder has learned to paint colored features, and in their colors; shallower levels after it
take from its strokes, and cost a pass each."""

FLOOR = 0.1
"""Part of the mean variance, added to each variance before whitening: where a picture has next
to none, whitening would blow up its noise, which is what flickers most. A thousandth flickered
half as much again in fast motion and looked no better. A flat picture stays flat."""

TINY = 1e-8
"""Added on top, so that no variance at all is no division by zero."""

STATISTICS = ("content_mean", "content_covariance")
"""What the graph of a level gives besides the painting."""

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
        """The distance of the distributions, in relation to their spread; the largest there is."""
        spread = np.trace(self.covariance + other.covariance, axis1=1, axis2=2)
        of_means = np.sum((self.mean - other.mean) ** 2, axis=1)
        of_spreads = np.linalg.norm(self.covariance - other.covariance, axis=(1, 2))
        return float(np.max((of_means + of_spreads) / (spread + TINY)))


def whitening(covariance: _Array) -> _Array:
    """Equation 2's E D^(-1/2) E', with a floor under the variances, of each (C, C)."""
    with on_one_core():
        variances, directions = np.linalg.eigh(covariance)
        variances = np.maximum(variances, 0) + floor(variances)
        return _composed(directions, 1 / np.sqrt(variances))


def floor(variances: _Array) -> _Array:
    """What is added to each of (..., C), (..., 1)."""
    least: _Array = FLOOR * np.mean(np.maximum(variances, 0), axis=-1, keepdims=True) + TINY
    return least


def coloring(covariance: _Array) -> _Array:
    """Equation 3's E D^(1/2) E', of each (C, C)."""
    with on_one_core():
        variances, directions = np.linalg.eigh(covariance)
        return _composed(directions, np.sqrt(np.maximum(variances, 0)))


def on_one_core() -> AbstractContextManager[Any]:
    """For numpy: its other threads would go on waiting by spinning, and while they took the cores
    from the network, a frame took twice as long.
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
    """The style of a picture, whose statistics are given by level: for each of `levels` the mean
    and coloring, and how much of the content's own features gives way to them (equation 4).

    Styles of the same levels can be mixed by weights: as the transform is linear in them, the mix
    is that of the features (section 4.3). All arrays are those of one region, (1, ...).
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
        seen = statistics_at(level)
        style[f"{level}/mean"] = seen.mean.astype(np.float32)
        style[f"{level}/coloring"] = coloring(seen.covariance).astype(np.float32)
        style[f"{level}/alpha"] = np.full((1, 1), alpha, np.float32)
    return style


def in_regions(styles: Sequence[Style], masks: NDArray[np.float32]) -> Style:
    """One style of several, each in a region: `masks`, (R, h, w), of any size, say how much of each
    place is in each, and sum up to 1. The features of each region are whitened by themselves, and
    decoded together.
    """
    names = {name for style in styles for name in style}
    if any(style.keys() != names for style in styles):
        raise EngineError("styles of different levels can't be painted side by side")
    arrays = {name: np.concatenate([style[name] for style in styles]) for name in names}
    return {**arrays, MASKS: masks}


PARTS = ("mean", "coloring", "alpha")
"""Arrays of a style, for each level."""

MASKS = "masks"

WHOLE = np.ones((1, 1, 1), np.float32)
"""One region: the frame."""


def statistics_in(outputs: Mapping[str, NDArray[Any]]) -> Statistics:
    """Those of the frame, in what the graph of a level gives."""
    return Statistics(
        outputs["content_mean"].astype(float), outputs["content_covariance"].astype(float)
    )
