"""The real window on a virtual screen, driven by real key and mouse events, checked by pixels."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pygame
import pytest

from streamstyle.frame import Image
from streamstyle.live.display import Display, Dropped
from tests.helpers.clips import Recipe, make_clip, read_clip
from tests.helpers.models import write_two_strokes
from tests.helpers.screen import NEEDED, PATIENCE_S, Screen

ORANGE, BLUE = (255, 128, 0), (0, 127, 255)
"""A color and its negative."""


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not all(map(shutil.which, NEEDED)), reason=f"needs {' and '.join(NEEDED)}"),
]


class Live:
    """A running `streamstyle live`, as its user sees it."""

    def __init__(self, screen: Screen, folder: Path, arguments: list[str]) -> None:
        self.screen = screen
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamstyle", "live", *arguments],
            cwd=folder,
            env={**os.environ, "DISPLAY": screen.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_window(self) -> None:
        self.until(lambda: bool(self.window()), "no window has opened")
        self.screen.do("windowactivate", "--sync", self.window())

    def window(self) -> str:
        return self.screen.do("search", "--onlyvisible", "--class", "^streamstyle$").strip()

    def place(self) -> tuple[int, int, int, int]:
        """Return left, top, width and height of the window on the screen."""
        shell = self.screen.do("getwindowgeometry", "--shell", self.window())
        values = dict(line.split("=") for line in shell.split())
        return tuple(int(values[name]) for name in ("X", "Y", "WIDTH", "HEIGHT"))  # type: ignore[return-value]

    def picture(self) -> Image:
        left, top, width, height = self.place()
        return self.screen.look()[top : top + height, left : left + width]

    def color(self, x: float, y: float = 0.7) -> tuple[int, ...]:
        picture = self.picture()
        return tuple(int(v) for v in picture[int(y * len(picture)), int(x * picture.shape[1])])

    def shows(self, color: tuple[int, ...], x: float = 0.5) -> None:
        self.until(
            lambda: max(abs(a - b) for a, b in zip(self.color(x), color, strict=True)) < 12,
            f"the window does not show {color} at {x}",
        )

    def until(self, condition: Callable[[], bool], problem: str) -> None:
        end = time.perf_counter() + PATIENCE_S
        while time.perf_counter() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"{problem}: it has ended: {self.process.communicate()}")
            try:
                if condition():
                    return
            except (IndexError, KeyError, ValueError):
                pass  # at the moment the window is missing or incomplete
            time.sleep(0.05)
        raise AssertionError(problem)

    def press(self, *keys: str) -> None:
        self.screen.do("key", *keys)

    def close_by_window_manager(self) -> None:
        """Close the window as its close button does, with Alt+F4."""
        self.press("alt+F4")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and what was printed."""
        output, errors = self.process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in errors
        return self.process.returncode, output


@pytest.fixture
def live(tmp_path: Path, inverter_path: Path) -> Iterator[Live]:
    """A running window that shows an orange clip, painted in its negative."""
    with _painting(tmp_path, inverter_path) as running:
        running.shows(BLUE)
        yield running


@contextmanager
def _painting(tmp_path: Path, style: Path) -> Iterator[Live]:
    """Run a window that paints an orange clip, played like a camera."""
    size = Recipe(size=(320, 240), bars=(ORANGE,), pts=range(50))
    clip = make_clip(tmp_path / "clip.mp4", size)
    arguments = [str(clip), "--loop", "--style", str(style), "--steady", "0"]
    screen = Screen(tmp_path)
    running = Live(screen, tmp_path, arguments)
    try:
        running.wait_for_window()
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.communicate()
        screen.close()


def test_keys_change_the_picture_and_q_ends_it(live: Live) -> None:
    before = live.picture()
    live.press("o")  # hides the numbers
    live.until(lambda: int((live.picture() > 250).all(axis=2).sum()) == 0, "the overlay stays")
    assert int((before > 200).all(axis=2).sum()) > 50  # white letters
    live.press("v")
    live.shows(ORANGE)
    live.press("v")  # side by side
    live.shows(ORANGE, 0.25)
    live.shows(BLUE, 0.75)
    live.press("v")  # split in the middle
    live.shows(ORANGE, 0.4)
    live.shows(BLUE, 0.6)
    live.press("v")
    live.shows(BLUE, 0.4)
    live.press("minus", "minus", "minus", "minus", "minus")  # half the strength
    live.shows((128, 128, 128))
    live.press("q")
    status, output = live.end()
    assert status == 0
    assert "frames shown" in output
    assert "openvino on cpu" in output


def test_keys_change_the_size_of_strokes(tmp_path: Path) -> None:
    write_two_strokes(tmp_path / "strokes.onnx")
    with _painting(tmp_path, tmp_path / "strokes.onnx") as live:
        live.shows((128, 128, 128))  # half of each
        live.press("z", "z")
        live.shows(ORANGE)
        live.press("x", "x", "x", "x")
        live.shows(BLUE)
        live.press("q")
        assert live.end()[0] == 0


def test_mouse_drags_the_line(live: Live) -> None:
    live.press("v", "v", "v")
    live.shows(ORANGE, 0.4)
    left, top, width, height = live.place()
    middle = str(top + height // 2)
    live.screen.do("mousemove", str(left + width // 2), middle, "mousedown", "1")
    live.screen.do("mousemove", str(left + width // 4), middle)
    live.screen.do("mousemove", str(left + width // 5), middle, "mouseup", "1")
    live.shows(BLUE, 0.4)
    live.shows(ORANGE, 0.1)
    live.press("Escape")
    assert live.end()[0] == 0


def test_full_screen_by_key_and_by_double_click(live: Live) -> None:
    """The screen of 800x600 has the picture's aspect ratio, so the picture fills it."""

    def whole_screen_is(painted: bool) -> bool:
        screen = live.screen.look()
        corners = screen[[-5, -5, 300], [5, -5, -5]].astype(int)
        return bool((np.abs(corners - BLUE).max(axis=1) < 12).all()) == painted

    live.until(lambda: whole_screen_is(False), "it begins with the full screen")
    live.press("f")
    live.until(lambda: whole_screen_is(True), "f does not fill the screen")
    live.screen.do("mousemove", "400", "300", "click", "--repeat", "2", "--delay", "50", "1")
    live.until(lambda: whole_screen_is(False), "a double click does not bring the window back")
    live.press("f")
    live.until(lambda: whole_screen_is(True), "f does not fill the screen again")
    live.press("Escape")
    live.until(lambda: whole_screen_is(False), "Escape does not bring the window back")
    live.press("Escape")
    assert live.end()[0] == 0


def test_styles_by_number_and_strength_by_the_wheel(live: Live) -> None:
    left, top, width, height = live.place()
    live.screen.do("mousemove", str(left + width // 2), str(top + height // 2))
    live.screen.do("click", "--repeat", "10", "5")
    live.shows(ORANGE)
    live.screen.do("click", "--repeat", "10", "4")
    live.shows(BLUE)
    live.press("1")
    live.until(lambda: np.abs(np.subtract(live.color(0.5), BLUE)).max() > 40, "the style stays")
    live.press("q")
    _, output = live.end()
    assert "note" not in output


def test_help_lists_every_key(live: Live) -> None:
    live.press("o")
    live.until(lambda: int((live.picture() > 250).all(axis=2).sum()) == 0, "the overlay stays")
    live.press("h")
    live.until(lambda: int((live.picture() > 120).all(axis=2).sum()) > 300, "no help is shown")
    live.press("q")
    assert live.end()[0] == 0


@pytest.mark.parametrize("by", ["button", "SIGTERM", "SIGINT"])
def test_every_end_completes_the_recording(live: Live, tmp_path: Path, by: str) -> None:
    live.press("r")
    live.until(lambda: bool(list(tmp_path.glob("streamstyle-*.mp4"))), "nothing is recorded")
    time.sleep(1.0)
    if by == "button":
        live.close_by_window_manager()
    else:
        live.process.send_signal(getattr(signal, by))
    status, _ = live.end()
    assert status == (0 if by == "button" else 130)
    (take,) = tmp_path.glob("streamstyle-*.mp4")
    assert "partial" not in take.name
    contents = read_clip(take)
    assert len(contents.times) > 5
    assert np.abs(contents.frames[-1][120, 160].astype(int) - BLUE).max() < 12


def test_file_that_is_dropped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file manager is there to drop a file, so the test posts SDL's event."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    with Display("dropped", 64, 48) as display:
        pygame.event.post(pygame.event.Event(pygame.DROPFILE, file="mine.onnx"))
        assert Dropped("mine.onnx") in list(display.events())


def test_without_a_screen_is_one_sentence(tmp_path: Path, inverter_path: Path) -> None:
    """SDL by itself would go on without a screen."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    run = subprocess.run(
        [sys.executable, "-m", "streamstyle", "live", "pattern:testsrc"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    assert run.returncode == 2
    assert "--no-window" in run.stderr
    assert len(run.stderr.splitlines()) == 1
    assert run.stdout == ""
