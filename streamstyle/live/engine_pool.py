"""The engines in use, opened and warmed on a thread of their own."""

import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from engines import Engine, Style, open_engine
from streamstyle.live.resolution_governor import Size
from streamstyle.painting.pixel_budget import limited
from streamstyle.styles import StyleSpec, mixes, read_strokes

KEPT_ENGINES = 4
"""Besides those in use: going back to a style just left is then at once."""


NICE = 10
"""Niceness of the thread that loads; 19 is the lowest priority."""


@dataclass(frozen=True)
class Choice:
    """What paints in a style."""

    model: str
    """Styles of one model share an engine, and glide into each other."""
    inputs: tuple[Style, ...]
    """From the smallest strokes to the largest."""
    open: Callable[[], Engine]


def choose(
    style: StyleSpec,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Choice:
    """See `read_style`, and `engines.open_engine`."""
    card, inputs = read_strokes(style)

    def opener() -> Engine:
        return limited(open_engine(card.path, backend, device, precision))

    model = card.sha256 if mixes(card) else f"{card.sha256} {style}"
    return Choice(model, inputs, opener)


class EnginePool:
    """Opens engines in the background, readies them for all sizes, and keeps the latest ones."""

    def __init__(self, choose: Callable[[StyleSpec], Choice]) -> None:
        """`choose` is asked on the thread that loads."""
        self._choose = choose
        self._sizes: tuple[Size, ...] = ()
        self._choices: dict[StyleSpec, Choice] = {}
        self._doubtful: set[StyleSpec] = set()
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._ready: dict[str, frozenset[Size]] = {}
        self._wanted: list[tuple[StyleSpec, Size]] = []
        self._used_by: dict[object, frozenset[StyleSpec]] = {}
        self._closed = False
        self._changed = threading.Condition()
        self.problems: dict[StyleSpec, str] = {}
        """Why a style can't be had."""
        self._thread = threading.Thread(target=self._work, name="streamstyle-engines", daemon=True)
        self._thread.start()

    def get(self, style: StyleSpec, size: Size) -> tuple[Choice, Engine] | None:
        """What paints in the style, ready for `size`; None while it is being made ready."""
        with self._changed:
            choice = self._choices.get(style)
            ready = size in self._ready_sizes(style)
            if not ready or style in self._doubtful:
                self._doubtful.discard(style)
                if (style, size) not in self._wanted and style not in self.problems:
                    self._wanted.append((style, size))
                    self._changed.notify()
            if choice is None or not ready:
                return None
            self._engines.move_to_end(choice.model)
            return choice, self._engines[choice.model]

    def ready(self) -> frozenset[Size]:
        """The sizes that every engine in use is ready for."""
        with self._changed:
            sizes = [self._ready_sizes(style) for style in self._in_use]
            return frozenset.intersection(*sizes) if sizes else frozenset()

    def use(self, user: object, styles: frozenset[StyleSpec], sizes: tuple[Size, ...]) -> None:
        """These are what `user` paints with: they are not to be closed, and to be made ready for
        these sizes, the most urgent first.
        """
        with self._changed:
            if (styles, sizes) != (self._used_by.get(user), self._sizes):
                self._used_by[user], self._sizes = styles, sizes
                self._changed.notify()

    def retry_failed(self) -> None:
        """Try again what could not be had, if it is asked for again, and look whether the files
        of the others are still the same.
        """
        with self._changed:
            self.problems.clear()
            self._doubtful = set(self._choices)

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
                choice = self._choose(style)
                engine = self._engines.get(choice.model) or choice.open()
                engine.prepare(size[1], size[0], style=choice.inputs[0])
                if not self._engines:
                    _warm(engine, choice.inputs[0], size)
            except Exception as error:  # whatever it is, the picture goes on
                with self._changed:
                    self.problems[style] = str(error)
            else:
                self._add(style, size, choice, engine)
            with self._changed:
                if task in self._wanted:
                    self._wanted.remove(task)

    @property
    def _in_use(self) -> frozenset[StyleSpec]:
        return frozenset().union(*self._used_by.values())

    def _next_task(self) -> tuple[StyleSpec, Size] | None:
        """A style and a size to ready it for; None at the end."""
        with self._changed:
            while not self._closed:
                if self._wanted:  # somebody waits; for the one asked for last, rather
                    return self._wanted[-1]
                for size in self._sizes:
                    for style in self._in_use:
                        if size not in self._ready_sizes(style) and style not in self.problems:
                            return style, size
                self._changed.wait()
            return None

    def _ready_sizes(self, style: StyleSpec) -> frozenset[Size]:
        """The sizes that the style's engine is ready for, if it is open."""
        choice = self._choices.get(style)
        return frozenset() if choice is None else self._ready.get(choice.model, frozenset())

    def _add(self, style: StyleSpec, size: Size, choice: Choice, engine: Engine) -> None:
        with self._changed:
            self._choices[style] = choice
            self._engines[choice.model] = engine
            self._ready[choice.model] = self._ready.get(choice.model, frozenset()) | {size}
            kept = {self._choices[used].model for used in self._in_use | {style}}
            spare = [model for model in self._engines if model not in kept]
            closing = spare[: max(0, len(spare) - KEPT_ENGINES)]
            for model in closing:
                del self._ready[model]
            self._choices = {
                name: one for name, one in self._choices.items() if one.model not in closing
            }
            closed = [self._engines.pop(model) for model in closing]
        for old in closed:
            old.close()


def _warm(engine: Engine, inputs: Style, size: Size) -> None:
    """Paint a frame, while nobody else has the engine. Only the first one: the frames of later
    ones would compete with those that are shown.
    """
    width, height = size
    try:
        engine.paint(np.zeros((1, height, width, 3), np.uint8), inputs)
    except BaseException:
        engine.close()
        raise


def _yield_to_painting() -> None:
    """Let this thread have what the others leave, so that the picture moves on while a style is
    loaded. Not before the first one has painted: the threads that all engines paint with begin with
    that, and would inherit it; those of each engine do, but paint nothing. Only Linux has
    priorities of threads that anybody may lower.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
