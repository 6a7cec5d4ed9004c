"""The window: a front end of a LiveSession."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame
from streamstyle.live.controls import Controls, View
from streamstyle.live.display import (
    Closed,
    Display,
    DoubleClicked,
    Dropped,
    Event,
    Pointed,
    Pressed,
    Turned,
)
from streamstyle.live.overlay import lines_of
from streamstyle.live.session import LiveSession
from streamstyle.styles import StyleSpec
from streamstyle.timing import now_s

TITLE = "streamstyle"
WAIT_S = 0.02
"""Time between checks of keys and mouse while no frame comes, in seconds."""

NUMBERS_S = 0.25
"""Time for which the numbers stay unchanged, so that they can be read, in seconds."""

MESSAGE_S = 4.0
STEP = 0.1
STROKE_STEP = 0.25


@dataclass(frozen=True)
class Key:
    """One or several keys that do the same."""

    keys: tuple[str, ...]
    """Names of the keys, as in `Pressed`."""
    text: str
    """Description for the help."""
    action: Callable[[], None]


class Window(Closing):
    """Shows a session, and changes its controls by keys and the mouse.

    Only the main thread may use it.
    """

    def __init__(self, session: LiveSession, folder: Path = Path()) -> None:
        """Open the window; snapshots and recordings go to `folder`.

        Raises UserError if there is no screen.
        """
        self._session = session
        self._folder = folder
        self._overlay = True
        self._help = False
        self._message = ""
        self._message_until_s = 0.0
        self._lines: list[str] = []
        self._numbers_until_s = 0.0
        self._open = True
        self._keys = self._all_keys()
        self._display = Display(TITLE, *session.output_size, session.pixel_aspect)

    def run(self) -> None:
        """Show the session until the window is closed or the source ends."""
        shown: Frame | None = None
        while self._open and not self._session.ended:
            frame = self._session.wait(WAIT_S)
            events = list(self._display.events())
            for event in events:
                self._react(event)
            shown = frame or shown
            if shown is not None and (frame is not None or events or self._text_changes()):
                self._display.show(shown.image, self._text())
            if frame is not None:
                self._session.was_shown(frame)

    def close(self) -> None:
        self._display.close()

    def _react(self, event: Event) -> None:
        match event:
            case Closed():
                self._open = False
            case Pressed(key):
                self._press(key)
            case Pointed(x, _) if self._session.controls.view is View.SPLIT:
                self._update(lambda controls: replace(controls, split=x))
            case DoubleClicked():
                self._display.toggle_full_screen()
            case Turned(steps):
                self._more_strength(steps * STEP)
            case Dropped(path):
                self._session.drop(path)

    def _press(self, key: str) -> None:
        self._numbers_until_s = 0.0  # show a change at once
        for known in self._keys:
            if key in known.keys:
                known.action()
                return
        styles, _ = self._session.styles()
        if key.isdecimal() and 0 < int(key) <= len(styles):
            self._update(lambda controls: replace(controls, style=styles[int(key) - 1]))

    def _text_changes(self) -> bool:
        return now_s() >= self._numbers_until_s

    def _text(self) -> list[str]:
        if self._text_changes():
            self._numbers_until_s = now_s() + NUMBERS_S
            status = self._session.status()
            problems = list(status.problems)
            message = [self._message] if now_s() < self._message_until_s else []
            if self._help:  # in place of the numbers, so that all of it fits
                first = [f"{' or '.join(key.keys)}   {key.text}" for key in self._keys]
            else:
                first = lines_of(status, self._session.controls) if self._overlay else []
            self._lines = [*first, *problems, *message]
        return self._lines

    def _say(self, message: str) -> None:
        self._message = message
        self._message_until_s = now_s() + MESSAGE_S

    def _all_keys(self) -> tuple[Key, ...]:
        session = self._session
        strength, mix, stroke = self._more_strength, self._more_of_second, self._larger_strokes
        update = self._update
        return (
            Key(("h", "?"), "this help", self._toggle_help),
            Key(("n", "right"), "next style; 1 to 9: that style", session.next_style),
            Key(("p", "left"), "previous style", lambda: session.next_style(-1)),
            Key(("b",), "a second style to mix in", self._next_second_style),
            Key((",",), "less of the second style", lambda: mix(-STEP)),
            Key((".",), "more of the second style", lambda: mix(STEP)),
            Key(("-",), "less strength; also by mouse wheel", lambda: strength(-STEP)),
            Key(("+", "="), "more strength", lambda: strength(STEP)),
            Key(("z",), "finer strokes", lambda: stroke(-STROKE_STEP)),
            Key(("x",), "larger strokes", lambda: stroke(STROKE_STEP)),
            Key(
                ("k",),
                "keep the colors of the original",
                lambda: update(lambda c: replace(c, keep_colors=not c.keep_colors)),
            ),
            Key(("s",), "steadier: 0, 50, 100 %", self._steadier),
            Key(("v",), "painted, original, side by side, split (drag the line)", self._next_view),
            Key(("m",), "mirror", lambda: update(lambda c: replace(c, mirror=not c.mirror))),
            Key(("space",), "pause", lambda: update(lambda c: replace(c, paused=not c.paused))),
            Key(("c",), "save a snapshot", self._snapshot),
            Key(("r",), "start or stop recording", self._record),
            Key(("f", "f11"), "full screen; also by double click", self._full_screen),
            Key(("o",), "show or hide the numbers", self._toggle_overlay),
            Key(("[",), "smaller network size: faster", lambda: self._quality(-1)),
            Key(("]",), "larger network size: finer, if fast enough", lambda: self._quality(1)),
            Key(("q",), "quit", self._quit),
            Key(("escape",), "leave full screen, or quit", self._escape),
        )

    def _update(self, change: Callable[[Controls], Controls]) -> None:
        self._session.change(change(self._session.controls))

    def _more_strength(self, step: float) -> None:
        self._update(lambda c: replace(c, strength=_within(c.strength + step)))

    def _more_of_second(self, step: float) -> None:
        self._update(lambda c: replace(c, mix=_within(c.mix + step)))

    def _larger_strokes(self, step: float) -> None:
        self._update(lambda c: replace(c, stroke=_within(c.stroke + step)))

    def _toggle_overlay(self) -> None:
        self._overlay = not self._overlay

    def _toggle_help(self) -> None:
        self._help = not self._help

    def _next_second_style(self) -> None:
        styles: list[StyleSpec | None] = [None, *self._session.styles()[0]]
        controls = self._session.controls
        at = styles.index(controls.second_style) if controls.second_style in styles else 0
        following = styles[(at + 1) % len(styles)]
        mix = controls.mix or 0.5
        self._update(lambda c: replace(c, second_style=following, mix=mix))

    def _steadier(self) -> None:
        self._update(lambda c: replace(c, steady=c.steady + 0.5 if c.steady <= 0.5 else 0.0))

    def _next_view(self) -> None:
        self._update(lambda c: replace(c, view=c.view.following))

    def _quality(self, step: int) -> None:
        self._session.quality(step)
        width, height = self._session.largest
        self._say(f"network at {width}x{height} at most")

    def _full_screen(self) -> None:
        self._display.toggle_full_screen()

    def _snapshot(self) -> None:
        target = self._folder / f"streamstyle-{_stamp()}.png"
        try:
            self._session.snapshot(target)
            self._say(f"saved {target.name}")
        except (UserError, OSError) as error:
            self._say(f"no snapshot: {reason(error)}")

    def _record(self) -> None:
        if self._session.status().recording is not None:
            self._session.stop_recording()
            return
        try:
            self._session.record(self._folder / f"streamstyle-{_stamp()}.mp4")
        except UserError as error:
            self._say(f"no recording: {error}")

    def _escape(self) -> None:
        if self._display.full_screen:
            self._display.toggle_full_screen()
        else:
            self._quit()

    def _quit(self) -> None:
        self._open = False


def _within(value: float) -> float:
    """Clip a share to 0..1, rounded so that repeated steps stay exact."""
    return min(1.0, max(0.0, round(value, 2)))


def _stamp() -> str:
    return datetime.now().strftime("%Y-%m-%d-%H%M%S-%f")[:-4]
