"""Paint frame by frame with whitening and coloring.

Statistics are smoothed over time. So a frame is encoded and decoded only once, with a transform
made from the frames before it.
"""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.base import NO_STYLE, BaseEngine, Engine, Frames, Style
from engines.errors import EngineError
from engines.model_card import ModelCard
from engines.wct.transform import (
    DEFAULT_LEVELS,
    MASKS,
    PARTS,
    WHOLE,
    Statistics,
    on_one_core,
    statistics_in,
    whitening,
)

KEPT = 0.9
"""Weight of the earlier statistics in a frame that is just like the frames before."""

FOLLOWED = 0.05
"""Change of the statistics (`Statistics.change`) from which on no earlier statistics are kept.

A turning camera changes them by 0.01 to 0.05 from frame to frame.
"""

NEW_SCENE = 0.08
"""Change of the statistics from which on a frame is painted again, with its own statistics.

In six clips, every cut changed them by 0.09 or more, and nothing else did.
"""


class WctEngine(BaseEngine):
    """Paints in the style of any picture; see `Engine`.

    The levels of a style are painted from the deepest to the shallowest (section 3.3).
    """

    style_inputs: Mapping[str, tuple[int, ...]] = {}
    """Empty, because a style's inputs depend on its levels; see `style_of` and `in_regions`."""

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
            if new_scene:  # later levels can't see it: they get the frame in the style's colors
                self._level(level).forget()
            masks = style.get(MASKS, WHOLE)
            painted, is_new = self._level(level).paint(painted, mean, color, alpha, masks)
            new_scene |= is_new
        return {"stylized": painted}

    def reset_state(self) -> None:
        for level in self._levels.values():
            level.forget()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for level in self._levels.values():
                level.engine.close()

    def _level(self, name: str) -> "_Level":
        """Return a level, which is opened when it is first needed."""
        with self._lock:
            if self._closed:
                raise EngineError("this engine is closed")
            if name not in self._levels:
                self._levels[name] = _Level(self._open_part(name))
            return self._levels[name]


def _levels_of(style: Style) -> list[str]:
    """Return the levels of a style, the deepest first."""
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
        """Return the painting, and whether it starts a new scene."""
        is_new = self._content is None or len(self._content.mean) != len(masks)
        if self._content is None or is_new:  # this run is only for the statistics
            nothing = {
                n: np.repeat(array, len(masks), axis=0) for n, array in self._nothing.items()
            }
            self._content = statistics_in(self.engine.run(frames, {**nothing, MASKS: masks}))
        painted = self.engine.run(frames, self._inputs(mean, color, alpha, masks))
        content = statistics_in(painted)
        assert self._content is not None
        change = self._content.change(content)
        if change > NEW_SCENE:
            is_new = True
            self._content = content
            painted = self.engine.run(frames, self._inputs(mean, color, alpha, masks))
        else:
            kept = KEPT * max(0.0, 1 - change / FOLLOWED)
            self._content = self._content.smoothed(content, kept)
        return painted["stylized"], is_new

    def _inputs(
        self,
        mean: NDArray[Any],
        color: NDArray[Any],
        alpha: NDArray[Any],
        masks: NDArray[np.float32],
    ) -> Style:
        """Return equations 2 to 4 as one matrix for each region.

        They are alpha * (coloring @ whitening @ (f - m) + m_style) + (1 - alpha) * f.
        """
        assert self._content is not None
        center, white = self._content.mean, whitening(self._content.covariance)
        with on_one_core():
            transform = alpha[..., None] * (color.astype(np.float64) @ white)
        transform += (1 - alpha[..., None]) * np.eye(center.shape[1])
        return {
            "transform": transform.astype(np.float32),
            "center": center.astype(np.float32),
            "shift": (alpha * mean + (1 - alpha) * center).astype(np.float32),
            MASKS: masks,
        }
