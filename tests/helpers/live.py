"""Helpers for tests of live painting: a camera, and checks of what a session shows."""

import itertools
import socket
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from engines import NO_STYLE, Engine, EngineError, Frames, ModelCard, Style
from streamstyle.closeable import Closing
from streamstyle.frame import Frame
from streamstyle.live.engine_pool import Choice
from streamstyle.live.session import LiveSession
from streamstyle.sources import Source, SourceInfo, open_live
from streamstyle.styles import StylePart, StyleSpec

ORANGE, BLUE = (255, 128, 0), (0, 127, 255)
"""A color and its negative."""


class Camera(Closing):
    """Stand in for a webcam, which no test machine has: an orange picture 50 times a second."""

    def __init__(self, frames: int | None = None) -> None:
        self.info = SourceInfo("camera 0", None, 96, 64, None)
        self.notes: list[str] = []
        self.closed = False
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        for index in itertools.count() if self._frames is None else range(self._frames):
            time.sleep(0.02)
            yield self.frame(index)

    @staticmethod
    def frame(index: int) -> Frame:
        image = np.full((64, 96, 3), ORANGE, np.uint8)
        image[:, :8] = 0  # black on the left, so that a mirrored frame can be recognized
        return Frame(image, index, Fraction(index, 50))

    def close(self) -> None:
        self.closed = True


def named(name: str) -> StyleSpec:
    """Return a style for `alone`."""
    return StyleSpec((StylePart("test.onnx", name),))


def alone(opener: Callable[[str], Engine]) -> Callable[[StyleSpec], Choice]:
    """Give each style its own model, which `opener` opens by the style's name."""
    return lambda style: Choice(str(style), (NO_STYLE,), lambda: opener(style.parts[0].name))


def color_at(frame: Frame, x: float) -> tuple[int, ...]:
    """Return the color in the middle row, at the fraction `x` of the width."""
    return tuple(int(v) for v in frame.image[frame.height // 2, int(x * frame.width)])


def show_until(
    session: LiveSession, wanted: Callable[[Frame], bool], seconds: float = 20.0
) -> Frame:
    """Show frames until `wanted` accepts one, and return it."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        frame = session.wait(0.1)
        if frame is not None:
            session.was_shown(frame)
            if wanted(frame):
                return frame
    raise AssertionError("no such frame came")


def is_painted(frame: Frame) -> bool:
    return color_at(frame, 0.5) == BLUE


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Plain(Closing):
    """An engine that paints one gray level, so that tests can tell engines apart."""

    backend, device, precision = "test", "cpu", "fp32"
    card = ModelCard(Path(), "", "plain", (), {}, {}, {})

    def __init__(self, level: int) -> None:
        self.level = level
        self.closed = False
        self.prepared: set[tuple[int, int]] = set()

    def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
        time.sleep(0.05)
        self.prepared.add((height, width))

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        assert not self.closed
        assert frames.shape[1:3] in self.prepared  # else the picture would freeze
        return np.full_like(frames, self.level)

    def close(self) -> None:
        self.closed = True


LEVELS = {"dark": 0, "light": 200, "grey": 100}


def open_plain(style: str) -> Engine:
    if style not in LEVELS:
        raise EngineError(f"no style {style}")
    return Plain(LEVELS[style])  # type: ignore[return-value]


def opener_of(
    location: str, loop: bool = False, realtime: bool = False
) -> tuple[Callable[[], Source], bool]:
    return open_live(location, (640, 480), 30, loop, realtime)


class Recorder(Closing):
    """A sink that calls `write` with the number of frames written so far."""

    def __init__(self, write: Callable[[int], None]) -> None:
        self.notes: list[str] = []
        self.written = 0
        self._write = write

    def write(self, _frame: Frame) -> None:
        self._write(self.written)
        self.written += 1

    def finish(self) -> None: ...

    def close(self) -> None: ...
