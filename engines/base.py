"""The engine contract: one painted frame from one frame.

A model is one ONNX file. It takes `frame`, uint8 (N, H, W, 3), RGB as a screen shows it, of any
height and width from 16 up, and gives `stylized`, uint8, of the same shape. Its further inputs, if
any, are the style: named float32 arrays. Everything before and after the network is in the graph,
so that every backend computes the same picture.
"""

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.model_card import ModelCard

MIN_SIDE = 16  # pixels; four of these are one cell of the networks' coarsest layer

Frames = NDArray[np.uint8]
"""(N, H, W, 3), RGB."""

Style = Mapping[str, NDArray[np.float32]]
"""The model's style inputs by name; empty for a model of one style."""

NO_STYLE: Style = {}

STYLE_WEIGHTS = "style_weights"
"""The style input of a model of many styles: float32 (S,), the part of each style of its card in
the painting; the sum is 1, or with a STYLE_ROW what that leaves."""


class Engine(Protocol):
    """A model opened on a device. One thread paints at a time, or as many as
    `set_concurrency` allows; another may prepare meanwhile.
    """

    card: ModelCard
    style_inputs: Mapping[str, tuple[int, ...]]
    """The shape of each style input; a side that may have any length is given as 1."""

    @property
    def backend(self) -> str:
        """Really used, as --engine names it: another one may paint while this one gets ready."""

    @property
    def device(self) -> str:
        """The hardware really used, in the backend's words."""

    @property
    def precision(self) -> str:
        """Really used: one of engines.PRECISIONS."""

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        """Do ahead what the first frame of a size, in a style, would have to wait for. Without a
        style, in one whose inputs have the shapes of `style_inputs`.
        """

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        """Paint (N, H, W, 3). `frames` is only read and not kept; the result is the caller's, and
        no later call touches it. Raises EngineError on arrays outside the contract.
        """

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        """As `paint`, all that the graph gives, by name; `stylized` is the painting."""

    def reset_state(self) -> None:
        """The next frame is no successor of the one before: another picture, or a new scene."""

    def set_concurrency(self, threads: int) -> int:
        """Allow up to `threads` to paint at the same time, or one on each of several devices, from
        the next frame on: that paints more frames a second, though each takes longer. Returns how
        many may: 1 if frames depend on the ones before, or if the device gains nothing by it.
        """

    def close(self) -> None:
        """Free the device. Closing twice is harmless; painting after it raises EngineError."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class BaseEngine:
    """What is alike in every engine: `with engine:`, and that it keeps nothing of a frame."""

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        raise NotImplementedError

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        painted: Frames = self.run(frames, style)["stylized"]
        return painted

    def reset_state(self) -> None:
        pass

    def set_concurrency(self, threads: int) -> int:
        return 1

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class WrappedEngine(BaseEngine):
    """What is alike in every engine that has another one paint."""

    def __init__(self, engine: Engine) -> None:
        self.card = engine.card
        self.style_inputs = engine.style_inputs
        self._engine = engine

    @property
    def backend(self) -> str:
        return self._engine.backend

    @property
    def device(self) -> str:
        return self._engine.device

    @property
    def precision(self) -> str:
        return self._engine.precision

    def reset_state(self) -> None:
        self._engine.reset_state()

    def set_concurrency(self, threads: int) -> int:
        return self._engine.set_concurrency(threads)

    def close(self) -> None:
        self._engine.close()


def check_inputs(frames: Frames, style: Style, names: Collection[str]) -> None:
    """Raise EngineError where `frames` or `style` are not what the contract says."""
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise EngineError(
            f"an engine paints uint8 frames of shape (N, H, W, 3), got {frames.dtype} "
            f"{frames.shape}"
        )
    if min(frames.shape[1:3]) < MIN_SIDE:
        raise EngineError(
            f"a frame of {frames.shape[2]}x{frames.shape[1]} is too small to paint: "
            f"both sides need at least {MIN_SIDE} pixels"
        )
    if style.keys() != set(names):
        raise EngineError(
            f"this model's style inputs are {sorted(names) or 'none'}, got {sorted(style)}"
        )
