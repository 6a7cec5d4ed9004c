"""Choose the layers that paint a live frame, and blend from one style to the next."""

import numpy as np

from streamstyle.live.controls import Controls
from streamstyle.live.engine_pool import EnginePool
from streamstyle.live.resolution_governor import Size
from streamstyle.painting.compositor import Layer
from streamstyle.styles import StyleSpec, at_stroke

FADE_S = 0.5
"""Time for one style to become another, in seconds."""


class StyleMixer:
    """Chooses the layers that paint the styles asked for, as soon as these are ready.

    Only one thread may use it. It reads no clock: callers give all times, in seconds.
    """

    def __init__(self, pool: EnginePool) -> None:
        self._pool = pool
        self._target: dict[StyleSpec, float] = {}
        self._origin: dict[StyleSpec, float] = {}
        """Weights from which the blend to the target began."""
        self._since_s = -FADE_S

    def layers(
        self, controls: Controls, sizes: tuple[Size, ...], at_s: float
    ) -> tuple[list[Layer], bool]:
        """Return the layers for a frame, and whether they use another model than before.

        The frame has the first of `sizes`; the other sizes may be needed next. There are no layers
        until the first style is ready.

        Styles of one model blend into each other within FADE_S: one pass paints any mix of them.
        """
        wanted = _wanted(controls)
        found = [self._pool.get(style, sizes[0]) for style in wanted]  # asks for every one
        changed = False
        if all(found) and wanted != self._target:
            models = {one[0].model for one in found if one is not None}
            before = self._weights(at_s)
            known = [self._pool.get(style, sizes[0]) for style in before]
            models |= {one[0].model for one in known if one is not None}
            if len(models) == 1:
                self._origin, self._since_s = before or wanted, at_s
            else:
                changed = bool(before) and set(wanted) != set(before)
                self._origin = wanted
            self._target = wanted
        weights = self._weights(at_s)
        self._pool.use(self, frozenset(weights), sizes)
        return self._paintings(weights, sizes[0], controls.stroke), changed

    def release(self, sizes: tuple[Size, ...]) -> None:
        """Let the pool close the engines that only this mixer used."""
        self._target = self._origin = {}
        self._pool.use(self, frozenset(), sizes)

    def _weights(self, at_s: float) -> dict[StyleSpec, float]:
        done = min(1.0, (at_s - self._since_s) / FADE_S)
        styles = [*self._origin, *(style for style in self._target if style not in self._origin)]
        weights = {
            style: (1 - done) * self._origin.get(style, 0) + done * self._target.get(style, 0)
            for style in styles
        }
        return {style: weight for style, weight in weights.items() if weight > 0}

    def _paintings(self, weights: dict[StyleSpec, float], size: Size, stroke: float) -> list[Layer]:
        """Return one layer for each model."""
        layers: dict[str, Layer] = {}
        for style, weight in weights.items():
            if (found := self._pool.get(style, size)) is None:
                continue
            choice, engine = found
            before = layers.get(choice.model, Layer(engine, {}, 0.0))
            total = before.weight + weight
            inputs = {
                name: np.asarray(
                    (before.weight * before.style.get(name, 0) + weight * array) / total, np.float32
                )
                for name, array in at_stroke(choice.inputs, stroke).items()
            }
            layers[choice.model] = Layer(engine, inputs, total)
        return list(layers.values())


class Fade:
    """Fades from one style to another of a different model, without running two networks.

    The last painting moves along with the video and fades out. It reads no clock: callers give all
    times, in seconds.
    """

    def __init__(self) -> None:
        self._last_s = 0.0
        self._since_s: float | None = None

    def start(self) -> None:
        """Start a fade; the next frame is the first of the new style."""
        self._since_s = self._last_s

    def previous_weight(self, at_s: float) -> float:
        """Return the share of the previous frame that is kept in a frame painted now.

        The share of the old style is the product of these values, and falls linearly to 0 within
        FADE_S.
        """
        last_s, self._last_s = self._last_s, at_s
        if self._since_s is None:
            return 0.0
        left = 1 - (at_s - self._since_s) / FADE_S
        if left <= 0:
            self._since_s = None
            return 0.0
        return left / (1 - (last_s - self._since_s) / FADE_S)


def _wanted(controls: Controls) -> dict[StyleSpec, float]:
    if controls.second_style is None or controls.second_style == controls.style:
        return {controls.style: 1.0}
    weights = {controls.style: 1 - controls.mix, controls.second_style: controls.mix}
    return {style: weight for style, weight in weights.items() if weight > 0}
