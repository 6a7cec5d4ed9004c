"""The engine contract: an engine turns frames into painted frames of the same size.

A model is one ONNX file. Its input `frame` is uint8 (N, H, W, 3), RGB as a screen shows it, at
least 16 pixels high and wide. Its output `stylized` is uint8 of the same shape. Its other inputs,
if any, are the style: named float32 arrays. The graph includes everything before and after the
network, so that every backend computes the same picture.
"""

from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from engines.errors import EngineError
from engines.model_card import ModelCard

MIN_SIDE = 16  # pixels; a cell of the networks' coarsest layer is four pixels wide

Frames = NDArray[np.uint8]
"""Frames of shape (N, H, W, 3), RGB."""

Style = Mapping[str, NDArray[np.float32]]
"""A model's style inputs by name; empty for a model of one style."""

NO_STYLE: Style = {}

STYLE_WEIGHTS = "style_weights"
"""Name of the style input of a model of many styles: float32 (S,).

Each weight is the share of one style of the card in the painting. The weights sum to 1, or to the
share that a STYLE_ROW leaves them.
"""


class Engine(Protocol):
    """A model opened on a device.

    One thread may paint at a time, or as many as `set_concurrency` allows. Another thread may call
    `prepare` meanwhile.
    """

    card: ModelCard
    style_inputs: Mapping[str, tuple[int, ...]]
    """Shape of each style input; a side that may have any length is given as 1."""

    @property
    def backend(self) -> str:
        """The backend that paints, as --engine names it.

        While an engine gets ready, another backend may paint in its place.
        """

    @property
    def device(self) -> str:
        """The hardware that paints, as the backend names it."""

    @property
    def precision(self) -> str:
        """The precision that is used, one of engines.PRECISIONS."""

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        """Do in advance what the first frame of a size and style would have to wait for.

        Without a style, prepare for style inputs of the shapes in `style_inputs`.
        """

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        """Paint `frames`, (N, H, W, 3), and return the painting in the same shape.

        The engine only reads `frames` and does not keep it. The result belongs to the caller, and
        no later call changes it. Raises EngineError if the arrays break the engine contract.
        """

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        """Return all outputs of the graph by name; `stylized` is what `paint` returns."""

    def reset_state(self) -> None:
        """Forget earlier frames, because the next one is another picture or starts a new scene."""

    def set_concurrency(self, threads: int) -> int:
        """Allow up to `threads` threads to paint at the same time, from the next frame on.

        This paints more frames per second, though each frame takes longer. With several devices,
        at least one thread may paint on each. Returns how many threads may paint: 1 if frames
        depend on earlier ones, or if the device gains nothing from more.
        """

    def close(self) -> None:
        """Free the device.

        Closing twice is harmless; painting on a closed engine raises EngineError.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class BaseEngine:
    """Base class of engines: a context manager that keeps nothing from one frame to the next."""

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
    """Base class of engines that let another engine paint."""

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
    """Raise EngineError if `frames` or `style` break the engine contract."""
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
