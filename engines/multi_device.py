"""An engine of several devices that share the frames of one video."""

from collections.abc import Iterable, Mapping, Sequence
from queue import SimpleQueue
from typing import Any

from numpy.typing import NDArray

from engines.base import NO_STYLE, BaseEngine, Engine, Frames, Style
from engines.errors import EngineError


class MultiDeviceEngine(BaseEngine):
    """Engines of one model that share the frames of a video; see `engines.base.Engine`.

    Each frame goes to the engine that has been idle longest, so that equal devices take turns and
    a slow device gets fewer frames.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        """Take over `engines`, which are closed together with this one.

        Raises EngineError if their precisions differ, because the video would flicker.
        """
        self._engines = engines
        precisions = sorted({engine.precision for engine in engines})
        if len(precisions) > 1:
            raise EngineError(
                f"these devices would paint in {' and '.join(precisions)}; give one --precision "
                "for all"
            )
        self.card = engines[0].card
        self.style_inputs = engines[0].style_inputs
        self._idle = _queue_of(engines)

    @property
    def backend(self) -> str:
        return ",".join(dict.fromkeys(engine.backend for engine in self._engines))

    @property
    def device(self) -> str:
        return ",".join(engine.device for engine in self._engines)

    @property
    def precision(self) -> str:
        return self._engines[0].precision

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        for engine in self._engines:
            engine.prepare(height, width, batch, style)

    def run(self, frames: Frames, style: Style = NO_STYLE) -> Mapping[str, NDArray[Any]]:
        engine = self._idle.get()
        try:
            return engine.run(frames, style)
        finally:
            self._idle.put(engine)

    def set_concurrency(self, threads: int) -> int:
        """Share `threads` among the engines, at least one for each."""
        part = -(-threads // len(self._engines))
        turns = [engine.set_concurrency(part) for engine in self._engines]
        self._idle = _queue_of(
            engine
            for turn in range(max(turns))
            for engine, most in zip(self._engines, turns, strict=True)
            if turn < most
        )
        return sum(turns) if threads > 1 else 1

    def close(self) -> None:
        for engine in self._engines:
            engine.close()


def _queue_of(engines: Iterable[Engine]) -> SimpleQueue[Engine]:
    queue: SimpleQueue[Engine] = SimpleQueue()
    for engine in engines:
        queue.put(engine)
    return queue
