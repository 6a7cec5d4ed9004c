"""Whitening and coloring: the transforms of Li et al. (Universal Style Transfer via Feature
Transforms, NIPS 2017), made in float64 from the statistics that the graph gives of each frame.

The statistics are smoothed over time: so a frame is encoded and decoded once, by a transform that
the frames before it gave.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from engines.base import NO_STYLE, BaseEngine, Engine, Frames, Style
from engines.card import ModelCard
from engines.errors import EngineError

WCT = "wct"
"""The family, in the card."""

DEFAULT_LEVELS = ("relu4_1",)
"""Its decoder has learned to paint colored features, and in their colors; shallower levels after it
take from its strokes, and cost a pass each."""

KEPT = 0.9
"""Of the statistics so far, in each frame that is like those before."""

FOLLOWED = 0.05
"""Change of the statistics, as `Statistics.change` has it, from which on nothing of the earlier is
kept: a camera that turns changes them by 0.01 to 0.05 from frame to frame."""

NEW_SCENE = 0.08
"""Change from which a frame is painted once more, by its own statistics: cuts were 0.09 and more in
six clips, and nothing else was."""

FLOOR = 0.1
"""Of the mean variance, added to each variance before whitening: where a picture has next to none,
whitening would blow up its noise, which is what flickers most. A thousandth flickered half as much
again in fast motion and looked no better. A flat picture stays flat."""

TINY = 1e-8
"""Added on top, so that no variance at all is no division by zero."""

STATISTICS = ("content_mean", "content_covariance")
"""What the graph of a level gives besides the painting."""

_Array = NDArray[np.float64]

_BLAS = ThreadpoolController()


@dataclass(frozen=True)
class Statistics:
    """Of features in each of R regions: mean (R, C) and covariance (R, C, C)."""

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
    with _on_one_core():
        variances, directions = np.linalg.eigh(covariance)
        variances = np.maximum(variances, 0) + floor(variances)
        return _composed(directions, 1 / np.sqrt(variances))


def floor(variances: _Array) -> _Array:
    """What is added to each of (..., C), (..., 1)."""
    least: _Array = FLOOR * np.mean(np.maximum(variances, 0), axis=-1, keepdims=True) + TINY
    return least


def coloring(covariance: _Array) -> _Array:
    """Equation 3's E D^(1/2) E', of each (C, C)."""
    with _on_one_core():
        variances, directions = np.linalg.eigh(covariance)
        return _composed(directions, np.sqrt(np.maximum(variances, 0)))


def _on_one_core() -> AbstractContextManager[Any]:
    """For numpy: its other threads would go on waiting by spinning, and while they took the cores
    from the network, a frame took twice as long."""
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
    decoded together."""
    names = {name for style in styles for name in style}
    if any(style.keys() != names for style in styles):
        raise EngineError("styles of different levels can't be painted side by side")
    arrays = {name: np.concatenate([style[name] for style in styles]) for name in names}
    return {**arrays, MASKS: masks}


class WctEngine(BaseEngine):
    """Paints in the style of any picture; see `Engine`. The levels of a style are painted from the
    deepest to the shallowest (section 3.3)."""

    style_inputs: Mapping[str, tuple[int, ...]] = {}
    """What `style_of` makes, and `in_regions`."""

    def __init__(self, card: ModelCard, open_part: Callable[[str], Engine]) -> None:
        self.card = card
        self._open_part = open_part
        self._levels: dict[str, _Level] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._first = self._level(
            DEFAULT_LEVELS[0] if DEFAULT_LEVELS[0] in card.parts else card.parts[0]
        ).engine

    @property
    def backend(self) -> str:
        return self._first.backend

    @property
    def device(self) -> str:
        return self._first.device

    @property
    def precision(self) -> str:
        return self._first.precision

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        for level in _levels_of(style) or list(self._levels):
            self._level(level).engine.prepare(height, width, batch)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        levels = _levels_of(style)
        if not levels:
            raise EngineError("this model paints in the style of a picture; give one")
        painted = frames
        new_scene = False
        for level in levels:
            try:
                mean, color, alpha = (style[f"{level}/{part}"] for part in PARTS)
            except KeyError as error:
                raise EngineError(f"this model's style inputs lack {error}") from error
            if new_scene:  # which later levels can't see: they get it in the style's colors
                self._level(level).forget()
            masks = style.get(MASKS, WHOLE)
            painted, is_new = self._level(level).paint(painted, mean, color, alpha, masks)
            new_scene |= is_new
        return {"stylized": painted}

    def begin(self) -> None:
        for level in self._levels.values():
            level.forget()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for level in self._levels.values():
                level.engine.close()

    def _level(self, name: str) -> "_Level":
        """Opened when it is first needed."""
        with self._lock:
            if self._closed:
                raise EngineError("this engine is closed")
            if name not in self._levels:
                self._levels[name] = _Level(self._open_part(name))
            return self._levels[name]


def _levels_of(style: Style) -> list[str]:
    """The deepest first."""
    return sorted({name.partition("/")[0] for name in style if name != MASKS}, reverse=True)


class _Level:
    """Painting at one level."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        shapes = engine.style_inputs
        self._nothing = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._content: Statistics | None = None

    def forget(self) -> None:
        self._content = None

    def paint(
        self,
        frames: Frames,
        mean: NDArray[np.float32],
        color: NDArray[np.float32],
        alpha: NDArray[np.float32],
        masks: NDArray[np.float32],
    ) -> tuple[Frames, bool]:
        """The painting, and whether it is of a new scene."""
        is_new = self._content is None or len(self._content.mean) != len(masks)
        if self._content is None or is_new:  # what is painted meanwhile is thrown away
            nothing = {
                n: np.repeat(array, len(masks), axis=0) for n, array in self._nothing.items()
            }
            self._content = statistics_in(self.engine.run(frames, {**nothing, MASKS: masks}))
        painted = self.engine.run(frames, self._inputs(mean, color, alpha, masks))
        seen = statistics_in(painted)
        assert self._content is not None
        change = self._content.change(seen)
        if change > NEW_SCENE:
            is_new = True
            self._content = seen
            painted = self.engine.run(frames, self._inputs(mean, color, alpha, masks))
        else:
            kept = KEPT * max(0.0, 1 - change / FOLLOWED)
            self._content = self._content.smoothed(seen, kept)
        return painted["stylized"], is_new

    def _inputs(
        self,
        mean: NDArray[Any],
        color: NDArray[Any],
        alpha: NDArray[Any],
        masks: NDArray[np.float32],
    ) -> Style:
        """Equations 2 to 4 as one matrix for each region: alpha * (coloring @ whitening @ (f - m) +
        m_style) + (1 - alpha) * f."""
        assert self._content is not None
        center, white = self._content.mean, whitening(self._content.covariance)
        with _on_one_core():
            transform = alpha[..., None] * (color.astype(np.float64) @ white)
        transform += (1 - alpha[..., None]) * np.eye(center.shape[1])
        return {
            "transform": transform.astype(np.float32),
            "center": center.astype(np.float32),
            "shift": (alpha * mean + (1 - alpha) * center).astype(np.float32),
            MASKS: masks,
        }


PARTS = ("mean", "coloring", "alpha")
"""Of a style, for each level."""

MASKS = "masks"

WHOLE = np.ones((1, 1, 1), np.float32)
"""One region: the frame."""


def statistics_in(outputs: Mapping[str, NDArray[Any]]) -> Statistics:
    """Those of the frame, in what the graph of a level gives."""
    return Statistics(
        outputs["content_mean"].astype(float), outputs["content_covariance"].astype(float)
    )
