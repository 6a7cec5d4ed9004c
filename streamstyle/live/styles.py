"""The engines in use, opened and warmed on a thread of their own, and how they are mixed."""

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines import Engine
from streamstyle.live.controls import Controls
from streamstyle.live.governor import Size

FADE_S = 0.5
"""How long one style takes to become another."""

KEPT_ENGINES = 4
"""Besides those in use: going back to a style just left is then at once."""


NICE = 10
"""Of 19, which is the lowest priority."""


@dataclass(frozen=True)
class Layer:
    """One painting of the frame, and its part of the whole."""

    engine: Engine
    share: float


class EngineShelf:
    """Opens engines in the background, readies them for all sizes, and keeps the latest ones."""

    def __init__(self, opener: Callable[[str], Engine]) -> None:
        self._opener = opener
        self._sizes: tuple[Size, ...] = ()
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
            sizes = [self._ready[style] for style in self._in_use]
            return frozenset.intersection(*sizes) if sizes else frozenset()

    def use(self, styles: frozenset[str], sizes: tuple[Size, ...]) -> None:
        """These are painted with: they are not to be closed, and to be made ready for these sizes,
        the most urgent first."""
        with self._changed:
            if (styles, sizes) != (self._in_use, self._sizes):
                self._in_use, self._sizes = styles, sizes
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
            if self._engines:
                _yield_to_painting()
            style, size = task
            try:
                engine = self._engines.get(style) or self._opener(style)
                engine.prepare(size[1], size[0])
                if not self._engines:
                    _warm(engine, size)
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
                for size in self._sizes:
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


def _warm(engine: Engine, size: Size) -> None:
    """Paint a frame, while nobody else has the engine. Only the first one: the frames of later
    ones would compete with those that are shown."""
    width, height = size
    try:
        engine.paint(np.zeros((1, height, width, 3), np.uint8))
    except BaseException:
        engine.close()
        raise


def _yield_to_painting() -> None:
    """Let this thread have what the others leave, so that the picture moves on while a style is
    loaded. Not before the first one has painted: threads that all engines share begin with that,
    and would inherit it. Only Linux has priorities of threads that anybody may lower."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


class StyleMix:
    """What to paint with: the styles asked for, as soon as they can be had. Used by one thread."""

    def __init__(self, shelf: EngineShelf) -> None:
        self._shelf = shelf
        self._shares: dict[str, float] = {}

    def layers(self, controls: Controls, sizes: tuple[Size, ...]) -> tuple[list[Layer], bool]:
        """The layers for a frame of the first of `sizes`, none until the first style is ready, and
        whether they are of other styles than before. The other sizes may be next."""
        wanted = _wanted(controls)
        changed = False
        engines = [self._shelf.get(style, sizes[0]) for style in wanted]  # which asks for each
        if all(engines):
            changed = bool(self._shares) and set(wanted) != set(self._shares)
            self._shares = wanted
        self._shelf.use(frozenset(self._shares), sizes)
        layers = [
            Layer(engine, share)
            for style, share in self._shares.items()
            if (engine := self._shelf.get(style, sizes[0])) is not None
        ]
        return layers, changed


class Fade:
    """One style becomes another: what was painted last is moved along with the picture and gives
    way bit by bit, which costs no second network. Reads no clock; times in seconds."""

    def __init__(self) -> None:
        self._last_s = 0.0
        self._since_s: float | None = None

    def begin(self) -> None:
        """The next frame is the first of the new style."""
        self._since_s = self._last_s

    def kept(self, at_s: float) -> float:
        """The part of the last frame that is kept in a frame now. What is left of the old style,
        their product, falls in a straight line to nothing within FADE_S."""
        last_s, self._last_s = self._last_s, at_s
        if self._since_s is None:
            return 0.0
        left = 1 - (at_s - self._since_s) / FADE_S
        if left <= 0:
            self._since_s = None
            return 0.0
        return left / (1 - (last_s - self._since_s) / FADE_S)


def _wanted(controls: Controls) -> dict[str, float]:
    if controls.second_style is None or controls.second_style == controls.style:
        return {controls.style: 1.0}
    shares = {controls.style: 1 - controls.mix, controls.second_style: controls.mix}
    return {style: share for style, share in shares.items() if share > 0}
