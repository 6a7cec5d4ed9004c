"""The engines in use, opened and warmed on a thread of their own, and how they are mixed."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from engines import Engine
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
    """Opens engines in the background, readies them for all sizes, and keeps the latest ones."""

    def __init__(
        self, opener: Callable[[str], Engine], sizes: Callable[[], tuple[Size, ...]]
    ) -> None:
        """`sizes` are those to be ready for, the most urgent first."""
        self._opener = opener
        self._sizes = sizes
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._ready: dict[str, frozenset[Size]] = {}
        self._wanted: list[tuple[str, Size]] = []
        self._in_use: frozenset[str] = frozenset()
        self._closed = False
        self._changed = threading.Condition()
        self.problems: dict[str, str] = {}
        """Why a style can't be had, by its name."""
        self._thread = threading.Thread(target=self._work, name="streamstyle-engines", daemon=True)
        self._thread.start()

    def get(self, style: str, size: Size) -> Engine | None:
        """The engine, ready for `size`; None while it is being made ready."""
        with self._changed:
            if size in self._ready.get(style, ()):
                self._engines.move_to_end(style)
                return self._engines[style]
            if (style, size) not in self._wanted and style not in self.problems:
                self._wanted.append((style, size))
                self._changed.notify()
            return None

    def ready(self) -> frozenset[Size]:
        """The sizes that every engine in use is ready for."""
        with self._changed:
            return frozenset.intersection(
                frozenset(self._sizes()), *(self._ready[style] for style in self._in_use)
            )

    def use(self, styles: frozenset[str]) -> None:
        """These are painted with: they are not to be closed, and to be ready for every size."""
        with self._changed:
            self._in_use = styles
            self._changed.notify()

    def forgive(self) -> None:
        """Try again what could not be had, if it is asked for again."""
        with self._changed:
            self.problems.clear()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()
        for engine in self._engines.values():
            engine.close()

    def _work(self) -> None:
        while (task := self._next_task()) is not None:
            style, size = task
            try:
                engine = self._engines.get(style) or self._opener(style)
                engine.prepare(size[1], size[0])
            except Exception as error:  # whatever it is, the picture goes on
                with self._changed:
                    self.problems[style] = str(error)
            else:
                self._add(style, size, engine)
            with self._changed:
                if task in self._wanted:
                    self._wanted.remove(task)

    def _next_task(self) -> tuple[str, Size] | None:
        """A style and a size to ready it for; None at the end."""
        with self._changed:
            while not self._closed:
                if self._wanted:  # somebody waits; for the one asked for last, rather
                    return self._wanted[-1]
                for size in self._sizes():
                    for style in self._in_use:
                        if size not in self._ready[style] and style not in self.problems:
                            return style, size
                self._changed.wait()
            return None

    def _add(self, style: str, size: Size, engine: Engine) -> None:
        with self._changed:
            self._engines[style] = engine
            self._ready[style] = self._ready.get(style, frozenset()) | {size}
            spare = [name for name in self._engines if name not in self._in_use | {style}]
            closing = spare[: max(0, len(spare) - KEPT_ENGINES)]
            for name in closing:
                del self._ready[name]
            closed = [self._engines.pop(name) for name in closing]
        for old in closed:
            old.close()


class StyleMix:
    """What to paint with: the styles asked for, faded in from what was painted before. Used by
    one thread."""

    def __init__(self, shelf: EngineShelf) -> None:
        self._shelf = shelf
        self._shares: dict[str, float] = {}
        self._from: dict[str, float] = {}
        self._target: dict[str, float] = {}
        self._since_s = 0.0

    @property
    def fading(self) -> bool:
        """For a moment more styles are painted than are asked for."""
        return bool(self._from)

    def layers(self, controls: Controls, size: Size, at_s: float | None = None) -> list[Layer]:
        """The layers for a frame of `size` now; none until the first style is ready."""
        at_s = now_s() if at_s is None else at_s
        wanted = _wanted(controls)
        engines = {style: self._shelf.get(style, size) for style in {*wanted, *self._shares}}
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
        if done == 1.0 and self._from:
            self._from = {}
            self._shelf.use(frozenset(self._target))
        return [
            Layer(engine, share)
            for style, share in self._shares.items()
            if (engine := engines.get(style) or self._shelf.get(style, size)) is not None
        ]


def _wanted(controls: Controls) -> dict[str, float]:
    if controls.second_style is None or controls.second_style == controls.style:
        return {controls.style: 1.0}
    shares = {controls.style: 1 - controls.mix, controls.second_style: controls.mix}
    return {style: share for style, share in shares.items() if share > 0}
