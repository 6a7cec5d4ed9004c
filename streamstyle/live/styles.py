"""The engines in use, opened and warmed on a thread of their own, and how they are mixed."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from engines import Engine, EngineError
from streamstyle.errors import UserError
from streamstyle.live.controls import Controls
from streamstyle.live.governor import Size
from streamstyle.timing import now_s

FADE_S = 0.5
"""How long one style takes to become another."""

KEPT_ENGINES = 4
"""Besides those in use: going back to a style just left is then at once."""


@dataclass(frozen=True)
class Layer:
    """One painting of the frame, and its part of the whole."""

    engine: Engine
    share: float


class EngineShelf:
    """Opens engines in the background and keeps the latest ones open."""

    def __init__(self, opener: Callable[[str], Engine], sizes: Callable[[], tuple[Size, ...]]):
        """`sizes` are those to be ready for, the most urgent first."""
        self._opener = opener
        self._sizes = sizes
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._asked: set[str] = set()
        self._wanted: SimpleQueue[str | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._in_use: frozenset[str] = frozenset()
        self.problems: dict[str, str] = {}
        """Why a style can't be had, by its name."""
        self._thread = threading.Thread(target=self._work, name="streamstyle-engines", daemon=True)
        self._thread.start()

    def get(self, style: str) -> Engine | None:
        """The engine, ready for the most urgent size; None while it is being made ready."""
        with self._lock:
            engine = self._engines.get(style)
            if engine is not None:
                self._engines.move_to_end(style)
                return engine
            if style in self._asked or style in self.problems:
                return None
            self._asked.add(style)
        self._wanted.put(style)
        return None

    def use(self, styles: frozenset[str]) -> None:
        """These are not to be closed."""
        with self._lock:
            self._in_use = styles

    def close(self) -> None:
        self._wanted.put(None)
        self._thread.join()
        for engine in self._engines.values():
            engine.close()

    def _work(self) -> None:
        while (style := self._wanted.get()) is not None:
            try:
                engine = self._opener(style)
            except (UserError, EngineError) as error:
                self.problems[style] = str(error)
                continue
            sizes = self._sizes()
            for width, height in sizes[:1]:
                engine.prepare(height, width)
            for closed in self._add(style, engine):
                closed.close()
            for width, height in sizes[1:]:
                if not self._wanted.empty():
                    break  # somebody is waiting for a picture; these are for later
                engine.prepare(height, width)

    def _add(self, style: str, engine: Engine) -> list[Engine]:
        """Shelve it; returns those for which there is no room any more."""
        with self._lock:
            self._engines[style] = engine
            self._asked.discard(style)
            spare = [name for name in self._engines if name not in self._in_use | {style}]
            return [self._engines.pop(name) for name in spare[: max(0, len(spare) - KEPT_ENGINES)]]


class StyleMix:
    """What to paint with: the styles asked for, faded in from what was painted before. Used by
    one thread."""

    def __init__(self, shelf: EngineShelf) -> None:
        self._shelf = shelf
        self._shares: dict[str, float] = {}
        self._from: dict[str, float] = {}
        self._target: dict[str, float] = {}
        self._since_s = 0.0

    def layers(self, controls: Controls, at_s: float | None = None) -> list[Layer]:
        """The layers for a frame now; none until the first style is ready."""
        at_s = now_s() if at_s is None else at_s
        wanted = _wanted(controls)
        engines = {style: self._shelf.get(style) for style in {*wanted, *self._shares}}
        if wanted != self._target and all(engines[style] for style in wanted):
            same_styles = set(wanted) == set(self._target)
            # A mix is moved by hand and follows it; another style fades in.
            self._from = {} if same_styles or not self._shares else dict(self._shares)
            self._target, self._since_s = wanted, at_s
            self._shelf.use(frozenset({*wanted, *self._from}))
        done = min(1.0, (at_s - self._since_s) / FADE_S) if self._from else 1.0
        shares = {style: done * share for style, share in self._target.items()}
        for style, share in self._from.items():
            shares[style] = shares.get(style, 0.0) + (1 - done) * share
        self._shares = {style: share for style, share in shares.items() if share > 0}
        if done == 1.0:
            self._from = {}
        return [
            Layer(engine, share)
            for style, share in self._shares.items()
            if (engine := engines.get(style) or self._shelf.get(style)) is not None
        ]


def _wanted(controls: Controls) -> dict[str, float]:
    if controls.second_style is None or controls.second_style == controls.style:
        return {controls.style: 1.0}
    shares = {controls.style: 1 - controls.mix, controls.second_style: controls.mix}
    return {style: share for style, share in shares.items() if share > 0}
