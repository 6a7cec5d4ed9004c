"""The engines in use, opened and warmed up on a separate thread."""

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
"""Number of unused engines kept open, so that going back to a recent style is immediate."""


NICE = 10
"""Niceness of the loading thread; 19 is the lowest priority."""


@dataclass(frozen=True)
class Choice:
    """The model and the inputs that paint a style."""

    model: str
    """Key of the model. Styles of one model share an engine, and blend into each other."""
    inputs: tuple[Style, ...]
    """Style inputs, from the smallest strokes to the largest."""
    open: Callable[[], Engine]
    """Function that opens the engine."""


def choose(
    style: StyleSpec,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
) -> Choice:
    """Find the model and the inputs for a style, without opening an engine.

    Raises the errors of `read_strokes`. For the other arguments see `engines.open_engine`.
    """
    card, inputs = read_strokes(style)

    def opener() -> Engine:
        return limited(open_engine(card.path, backend, device, precision))

    model = card.sha256 if mixes(card) else f"{card.sha256} {style}"
    return Choice(model, inputs, opener)


class EnginePool:
    """Opens engines in the background, prepares them for all sizes, and keeps recent ones open."""

    def __init__(self, choose: Callable[[StyleSpec], Choice]) -> None:
        """Start the loading thread, which calls `choose` for each style."""
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
        """Why styles failed to load, by style."""
        self._thread = threading.Thread(target=self._work, name="streamstyle-engines", daemon=True)
        self._thread.start()

    def get(self, style: StyleSpec, size: Size) -> tuple[Choice, Engine] | None:
        """Return the choice and engine for a style, ready for `size`.

        Returns None, and asks the loading thread for the engine, while it is not ready.
        """
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
        """Return the sizes that all engines in use are ready for."""
        with self._changed:
            sizes = [self._ready_sizes(style) for style in self._in_use]
            return frozenset.intersection(*sizes) if sizes else frozenset()

    def use(self, user: object, styles: frozenset[StyleSpec], sizes: tuple[Size, ...]) -> None:
        """Declare the styles that `user` paints with.

        Their engines stay open, and are prepared for `sizes`, which start with the most urgent one.
        """
        with self._changed:
            if (styles, sizes) != (self._used_by.get(user), self._sizes):
                self._used_by[user], self._sizes = styles, sizes
                self._changed.notify()

    def retry_failed(self) -> None:
        """Let styles that failed be tried again when they are next asked for.

        The files of all other styles are checked for changes.
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
            except Exception as error:  # whatever fails, painting goes on
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
        """Wait for a style to prepare, and return it with the size; None after `close`."""
        with self._changed:
            while not self._closed:
                if self._wanted:  # somebody waits, most likely for the latest one
                    return self._wanted[-1]
                for size in self._sizes:
                    for style in self._in_use:
                        if size not in self._ready_sizes(style) and style not in self.problems:
                            return style, size
                self._changed.wait()
            return None

    def _ready_sizes(self, style: StyleSpec) -> frozenset[Size]:
        """Return the sizes that the style's engine is ready for; none if it is not open."""
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
    """Paint a frame while nobody else uses the engine.

    Only the first engine is warmed up: frames painted by later ones would compete with those that
    are shown.
    """
    width, height = size
    try:
        engine.paint(np.zeros((1, height, width, 3), np.uint8), inputs)
    except BaseException:
        engine.close()
        raise


def _yield_to_painting() -> None:
    """Lower the priority of this thread, so that video stays smooth while a style loads.

    Call it only after the first engine has painted: that starts the threads that all engines paint
    with, and they would inherit the low priority. Threads that belong to one engine do inherit it,
    but they paint nothing. Only Linux lets any user lower the priority of a thread.
    """
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
