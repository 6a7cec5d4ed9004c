"""The window: one face of a LiveSession."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from streamstyle.closing import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.live.controls import View
from streamstyle.live.overlay import lines_of, written
from streamstyle.live.session import LiveSession, Promise
from streamstyle.pixels import load_opencv
from streamstyle.styles import models_by_style

TITLE = "streamstyle"
WAIT_S = 0.05
"""Between looks at the keyboard while no frame comes."""

ESCAPE = 27
_LEFT, _RIGHT = (81, 65361, 2424832, 63234), (83, 65363, 2555904, 63235)  # X, Qt, Windows, macOS


@dataclass(frozen=True)
class Key:
    name: str
    """As the help shows it."""
    codes: tuple[int, ...]
    text: str
    action: Callable[[], None]


class Window(Closing):
    """Shows a session and turns keys and the mouse into its controls. Used by the main thread."""

    def __init__(self, session: LiveSession, promise: Promise, folder: Path = Path()) -> None:
        """Snapshots and recordings go to `folder`."""
        if not has_screen():
            raise UserError("there is no screen to open a window on; try --no-window with --record")
        self._cv2 = load_opencv()
        self._session = session
        self._promise = promise
        self._folder = folder
        self._overlay = True
        self._help = False
        self._full_screen = False
        self._dragging = False
        self._message = ""
        self._open = True
        self._width = 1
        self._keys = self._all_keys()
        try:
            self._cv2.namedWindow(
                TITLE,
                self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO | self._cv2.WINDOW_GUI_NORMAL,
            )
        except self._cv2.error as error:
            raise UserError(
                "no window can be opened: this OpenCV was built without one, or there is no "
                "screen; try --no-window"
            ) from error
        self._cv2.setMouseCallback(TITLE, self._on_mouse)
        self._sized = False

    def run(self) -> None:
        """Show until the window is closed or the source ends."""
        shown: Frame | None = None
        while self._open and not self._session.ended:
            frame = self._session.wait(WAIT_S)
            if frame is not None:
                shown = frame
            if shown is not None:
                self._show(shown)
            code = self._cv2.waitKeyEx(1)
            if frame is not None:
                self._session.was_shown(frame)  # the event loop has put it on the screen
            self._press(code)
            if shown is not None and self._is_closed():
                return

    def close(self) -> None:
        if self._sized:
            self._cv2.destroyAllWindows()
            self._cv2.waitKey(1)  # without the event loop it stays on the screen

    def _is_closed(self) -> bool:
        """By its button. The toolkits say so by 0, by -1 or by an error."""
        try:
            return bool(self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE) < 1)
        except self._cv2.error:
            return True

    def _show(self, frame: Frame) -> None:
        image = frame.image
        self._width = frame.width
        if not self._sized:
            self._cv2.resizeWindow(TITLE, frame.width, frame.height)
            self._sized = True
        lines = []
        if self._overlay:
            status = self._session.status()
            lines += lines_of(status, self._session.controls, self._promise.fps)
        elif problems := self._session.status().problems:
            lines += problems
        if self._message:
            lines.append(self._message)
        if self._help:
            lines += [f"{key.name:>6}  {key.text}" for key in self._keys]
        if lines:
            image = written(image, lines)
        self._cv2.imshow(TITLE, self._cv2.cvtColor(image, self._cv2.COLOR_RGB2BGR))

    def _press(self, code: int) -> None:
        if code == -1:
            return
        for key in self._keys:
            if code in key.codes or ((code & 0xFF) in key.codes and code < 0x10000):
                key.action()
                return
        number = (code & 0xFF) - ord("1")
        names = list(models_by_style())
        if 0 <= number < min(9, len(names)):
            self._session.change(style=names[number])

    def _on_mouse(self, event: int, x: int, _y: int, flags: int, _data: object) -> None:
        """Dragging moves the line between original and painting."""
        if event == self._cv2.EVENT_LBUTTONDOWN:
            self._dragging = True
        elif event == self._cv2.EVENT_LBUTTONUP:
            self._dragging = False
        elif not (event == self._cv2.EVENT_MOUSEMOVE and self._dragging):
            return
        if self._dragging and self._session.controls.view is View.SPLIT:
            self._session.change(split=min(1.0, max(0.0, x / self._width)))

    def _all_keys(self) -> tuple[Key, ...]:
        session = self._session

        def by(name: str, step: float) -> Callable[[], None]:
            def change() -> None:
                value = getattr(session.controls, name) + step
                session.change(**{name: min(1.0, max(0.0, round(value, 2)))})

            return change

        def flip(name: str) -> Callable[[], None]:
            return lambda: session.change(**{name: not getattr(session.controls, name)})

        def letter(name: str, text: str, action: Callable[[], None], *more: int) -> Key:
            return Key(name, (ord(name), *more), text, action)

        return (
            letter("h", "this help", self._toggle("_help")),
            letter("n", "next style (also 1 to 9)", session.next_style, *_RIGHT),
            letter("p", "previous style", lambda: session.next_style(-1), *_LEFT),
            letter("b", "a second style to mix in", self._next_second_style),
            letter(",", "less of the second style", by("mix", -0.1)),
            letter(".", "more of the second style", by("mix", 0.1)),
            letter("-", "less strength", by("strength", -0.1)),
            letter("+", "more strength", by("strength", 0.1), ord("=")),
            letter("s", "steadier (0, 50, 100 %)", self._steadier),
            letter("v", "painted, original, side by side, split", self._next_view),
            letter("m", "mirror", flip("mirror")),
            Key("space", (32,), "pause", flip("paused")),
            letter("c", "keep a snapshot", self._snapshot),
            letter("r", "record, and stop", self._record),
            letter("f", "full screen", self._full),
            letter("o", "these numbers on and off", self._toggle("_overlay")),
            letter("[", "smaller and faster", lambda: session.quality(-1)),
            letter("]", "larger and finer", lambda: session.quality(1)),
            Key("q", (ord("q"), ESCAPE), "quit (also Esc)", self._quit),
        )

    def _toggle(self, name: str) -> Callable[[], None]:
        return lambda: setattr(self, name, not getattr(self, name))

    def _next_second_style(self) -> None:
        names: list[str | None] = [None, *models_by_style()]
        controls = self._session.controls
        following = names[(names.index(controls.second_style) + 1) % len(names)]
        mix = controls.mix or 0.5
        self._session.change(second_style=following, mix=mix)

    def _steadier(self) -> None:
        steady = self._session.controls.steady + 0.5
        self._session.change(steady=steady if steady <= 1 else 0.0)

    def _next_view(self) -> None:
        self._session.change(view=self._session.controls.view.following)

    def _full(self) -> None:
        self._full_screen = not self._full_screen
        wanted = self._cv2.WINDOW_FULLSCREEN if self._full_screen else self._cv2.WINDOW_NORMAL
        self._cv2.setWindowProperty(TITLE, self._cv2.WND_PROP_FULLSCREEN, wanted)

    def _snapshot(self) -> None:
        target = self._folder / f"streamstyle-{_stamp()}.png"
        try:
            self._session.snapshot(target)
            self._message = f"kept {target.name}"
        except (UserError, OSError) as error:
            self._message = f"no snapshot: {error}"

    def _record(self) -> None:
        if self._session.status().recording is not None:
            self._session.stop_recording()
            return
        try:
            self._session.record(self._folder / f"streamstyle-{_stamp()}.mp4")
        except UserError as error:
            self._message = f"no recording: {error}"

    def _quit(self) -> None:
        self._open = False


def has_screen() -> bool:
    """Whether there is a desktop: without one, Qt ends the process instead of failing."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def _stamp() -> str:
    return datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")[:-4]
