"""Engines that paint large frames at a reduced size."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines import NO_STYLE, Engine, Frames, Style, WrappedEngine
from streamstyle.image_ops import resized


def limited(engine: Engine) -> Engine:
    """Return a `LimitedEngine` if the card limits the pixels, else the engine itself."""
    return engine if engine.card.most_pixels is None else LimitedEngine(engine)


class LimitedEngine(WrappedEngine):
    """An engine that shrinks frames to the pixels that its card allows; see `Engine`.

    Its paintings have the size of the frames.
    """

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        width, height = self.card.within(width, height)
        self._engine.prepare(height, width, batch, style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        height, width = frames.shape[1:3]
        size = self.card.within(width, height)
        outputs = self._engine.run(np.stack([resized(frame, *size) for frame in frames]), style)
        painted = np.stack([resized(one, width, height) for one in outputs["stylized"]])
        return {**outputs, "stylized": painted}
