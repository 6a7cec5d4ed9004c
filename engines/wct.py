"""Whitening and coloring: the transforms of Li et al. (Universal Style Transfer via Feature
Transforms, NIPS 2017), made in float64 from the statistics that the graph gives of each frame.

The statistics are smoothed over time, and the transforms made of them on a slower beat than the
frames': the flicker that WCT is known for comes from a transform of its own for each frame.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import NO_STYLE, BaseEngine, Engine, Frames, Style
from engines.card import ModelCard
from engines.errors import EngineError

WCT = "wct"
"""The family, in the card."""

ALL_LEVELS = ("relu5_1", "relu4_1", "relu3_1", "relu2_1", "relu1_1")

DEFAULT_LEVELS = ("relu4_1",)

KEPT = 0.9
"""Of the statistics so far, in each frame."""

BEAT = 4
"""Frames from one transform to the next."""

NEW_SCENE = 0.6
"""Change of the statistics from one frame to the next, in relation to their size, from which the
smoothed ones say nothing of the frame."""

FLOOR = 1e-3
"""Of the mean variance, added to each variance before whitening: where a picture has next to none,
whitening would blow up its noise, which is what flickers most. A flat picture stays flat."""

TINY = 1e-8
"""Added on top, so that no variance at all is no division by zero."""

STATISTICS = ("content_mean", "content_covariance")
"""What the graph of a level gives besides the painting."""

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Of features: mean (C,) and covariance (C, C)."""

    mean: _Array
    covariance: _Array

    def smoothed(self, other: "Statistics", kept: float) -> "Statistics":
        return Statistics(
            kept * self.mean + (1 - kept) * other.mean,
            kept * self.covariance + (1 - kept) * other.covariance,
        )

    def change(self, other: "Statistics") -> float:
        """The distance of the two distributions, in relation to the spread of this one."""
        spread = np.trace(self.covariance) + np.trace(other.covariance)
        of_means = np.sum((self.mean - other.mean) ** 2)
        of_spreads = np.linalg.norm(self.covariance - other.covariance)
        return float((of_means + of_spreads) / (spread + TINY))


def whitening(covariance: _Array) -> _Array:
    """Equation 2's E D^(-1/2) E', with a floor under the variances."""
    variances, directions = np.linalg.eigh(covariance)
    variances = np.maximum(variances, 0)
    variances = variances + FLOOR * variances.mean() + TINY
    white: _Array = (directions / np.sqrt(variances)) @ directions.T
    return white


def coloring(covariance: _Array) -> _Array:
    """Equation 3's E D^(1/2) E'."""
    variances, directions = np.linalg.eigh(covariance)
    color: _Array = (directions * np.sqrt(np.maximum(variances, 0))) @ directions.T
    return color


def style_of(
    card: ModelCard,
    statistics_at: Callable[[str], Statistics],
    levels: Sequence[str] = DEFAULT_LEVELS,
    alpha: float = 1.0,
) -> Style:
    """The style of a picture, whose statistics are given by level: for each of `levels` the mean
    and coloring, and how much of the content's own features gives way to them (equation 4).

    Styles of the same levels can be mixed by weights: as the transform is linear in them, the mix
    is that of the features (section 4.3).
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
        style[f"{level}/alpha"] = np.full(1, alpha, np.float32)
    return style


class WctEngine(BaseEngine):
    """Paints in the style of any picture; see `Engine`. The levels of a style are painted from the
    deepest to the shallowest (section 3.3)."""

    style_inputs: Mapping[str, tuple[int, ...]] = {}
    """What `style_of` makes."""

    def __init__(self, card: ModelCard, open_part: Callable[[str], Engine]) -> None:
        self.card = card
        self._open_part = open_part
        self._levels: dict[str, _Level] = {}
        self._lock = threading.Lock()
        self._closed = False
        first = self._level(DEFAULT_LEVELS[0] if DEFAULT_LEVELS[0] in card.parts else card.parts[0])
        self.backend, self.device = first.engine.backend, first.engine.device

    @property
    def precision(self) -> str:
        return next(iter(self._levels.values())).engine.precision

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        for level in _levels_of(style) or list(self._levels):
            self._level(level).engine.prepare(height, width, batch)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        levels = _levels_of(style)
        if not levels:
            raise EngineError("this model paints in the style of a picture; give one")
        painted = frames
        for level in levels:
            try:
                parts = [style[f"{level}/{part}"] for part in ("mean", "coloring", "alpha")]
            except KeyError as error:
                raise EngineError(f"this model's style inputs lack {error}") from error
            painted = self._level(level).paint(painted, *parts)
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
    return sorted({name.partition("/")[0] for name in style}, reverse=True)


class _Level:
    """Painting at one level."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        shapes = engine.style_inputs
        self._nothing = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
        self._nothing["masks"] = WHOLE
        self._content: Statistics | None = None
        self._whitening: tuple[_Array, _Array] | None = None
        self._age = 0
        """Frames since `_whitening` was made."""

    def forget(self) -> None:
        self._content = None

    def statistics_of(self, picture: Frames) -> Statistics:
        """Of the features of a picture; what is painted meanwhile is thrown away."""
        return statistics_in(self.engine.run(picture, self._nothing))

    def paint(
        self,
        frames: Frames,
        mean: NDArray[np.float32],
        color: NDArray[np.float32],
        alpha: NDArray[np.float32],
    ) -> Frames:
        if self._content is None:
            self._see(self.statistics_of(frames), anew=True)
        painted = self.engine.run(frames, self._inputs(mean, color, float(alpha[0])))
        seen = statistics_in(painted)
        assert self._content is not None
        if self._content.change(seen) > NEW_SCENE:
            self._see(seen, anew=True)
            painted = self.engine.run(frames, self._inputs(mean, color, float(alpha[0])))
        else:
            self._see(seen, anew=False)
        result: Frames = painted["stylized"]
        return result

    def _see(self, seen: Statistics, anew: bool) -> None:
        if anew or self._content is None:
            self._content = seen
            self._whitening = None
        else:
            self._content = self._content.smoothed(seen, KEPT)
        self._age += 1

    def _inputs(self, mean: NDArray[Any], color: NDArray[Any], alpha: float) -> Style:
        """Equations 2 to 4 as one matrix: alpha * (coloring @ whitening @ (f - m) + m_style) +
        (1 - alpha) * f."""
        assert self._content is not None
        if self._whitening is None or self._age >= BEAT:
            self._whitening = self._content.mean, whitening(self._content.covariance)
            self._age = 0
        center, white = self._whitening
        transform = alpha * (color.astype(np.float64) @ white)
        transform += (1 - alpha) * np.eye(len(center))
        shift = alpha * mean + (1 - alpha) * center
        return {
            "transform": transform[None].astype(np.float32),
            "center": center[None].astype(np.float32),
            "shift": shift[None].astype(np.float32),
            "masks": WHOLE,
        }


WHOLE = np.ones((1, 1, 1), np.float32)
"""One region: the frame."""


def statistics_in(outputs: Mapping[str, NDArray[Any]]) -> Statistics:
    """Those of the frame, in what the graph of a level gives."""
    return Statistics(
        outputs["content_mean"][0].astype(float), outputs["content_covariance"][0].astype(float)
    )
