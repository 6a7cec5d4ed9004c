"""A session without a window: what it shows, records and survives."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from engines import NO_STYLE, Engine, EngineError, Frames, Style, open_engine
from streamstyle.closing import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.live import outlets, styles
from streamstyle.live.controls import Controls, View
from streamstyle.live.session import LiveSession, Promise
from streamstyle.live.styles import Choice, choose
from streamstyle.sources import SourceInfo
from tests.clips import read_clip
from tests.live import BLUE, ORANGE, Camera, alone, color_at, is_painted, show_until
from tests.models import write_inverter, write_two_styles


@pytest.fixture
def session(open_inverter: Callable[[str], Engine]) -> Iterator[LiveSession]:
    with LiveSession(Camera, Controls("negative"), choose=alone(open_inverter)) as opened:
        yield opened


def test_camera_is_painted(session: LiveSession) -> None:
    show_until(session, is_painted)
    status = session.status()
    assert status.engine == "openvino on cpu in fp32"
    assert status.problems == ()
    assert status.shown > 0
    assert 0 < status.age_ms[0] <= status.age_ms[1] <= status.age_ms[2]


@pytest.mark.parametrize(
    ("view", "left", "right"),
    [
        (View.PAINTED, BLUE, BLUE),
        (View.ORIGINAL, ORANGE, ORANGE),
        (View.SIDE_BY_SIDE, ORANGE, BLUE),
        (View.SPLIT, ORANGE, BLUE),
    ],
)
def test_views(
    session: LiveSession, view: View, left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    show_until(session, is_painted)
    session.change(view=view)
    frame = show_until(session, lambda f: (color_at(f, 0.3), color_at(f, 0.7)) == (left, right))
    assert frame.width == (192 if view is View.SIDE_BY_SIDE else 96)


def test_strength_mirror_and_split(session: LiveSession) -> None:
    session.change(strength=0.5)
    show_until(session, lambda f: max(abs(v - 128) for v in color_at(f, 0.5)) <= 1)
    session.change(strength=1.0, mirror=True)
    show_until(session, lambda f: color_at(f, 0.97) == (255, 255, 255))
    session.change(view=View.SPLIT, split=0.9)
    show_until(session, lambda f: (color_at(f, 0.85), color_at(f, 0.97)) == (ORANGE, (255,) * 3))


def test_pause_holds_the_picture(session: LiveSession) -> None:
    show_until(session, is_painted)
    session.change(paused=True)
    time.sleep(0.2)
    session.wait(0)
    assert session.wait(0.3) is None
    session.change(paused=False)
    show_until(session, is_painted)


class Plain(Closing):
    """An engine that paints one color, to be told from others."""

    backend, device, precision = "test", "cpu", "fp32"

    def __init__(self, level: int) -> None:
        self.level = level
        self.closed = False
        self.prepared: set[tuple[int, int]] = set()

    def prepare(self, height: int, width: int, batch: int = 1) -> None:
        time.sleep(0.05)
        self.prepared.add((height, width))

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        assert not self.closed
        assert frames.shape[1:3] in self.prepared  # else the picture would stand still meanwhile
        return np.full_like(frames, self.level)

    def close(self) -> None:
        self.closed = True


LEVELS = {"dark": 0, "light": 200, "grey": 100}


def open_plain(style: str) -> Engine:
    if style not in LEVELS:
        raise EngineError(f"no style {style}")
    return Plain(LEVELS[style])  # type: ignore[return-value]


def test_style_fades_into_the_next_without_a_gap() -> None:
    with LiveSession(Camera, Controls("dark"), choose=alone(open_plain)) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(style="light")
        seen = []
        longest_s = 0.0
        last_s = time.perf_counter()
        while not seen or seen[-1] != 200:
            frame = session.wait(1.0)
            assert frame is not None
            seen.append(color_at(frame, 0.5)[0])
            longest_s, last_s = max(longest_s, time.perf_counter() - last_s), time.perf_counter()
            session.was_shown(frame)
    assert seen == sorted(seen)
    assert len(set(seen)) > 5  # on the way, not a jump
    assert longest_s < 0.5  # frames come at 50 a second; engines load beside them


def test_two_styles_are_mixed_by_hand() -> None:
    with LiveSession(Camera, Controls("dark"), choose=alone(open_plain)) as session:
        session.change(second_style="light", mix=0.25)
        show_until(session, lambda f: color_at(f, 0.5) == (50, 50, 50))
        session.change(mix=0.75)
        show_until(session, lambda f: color_at(f, 0.5) == (150, 150, 150))


def two_styles(path: Path) -> Callable[[str], Choice]:
    """`same` and `negative` of one file."""
    write_two_styles(path)
    return lambda name: choose(f"{path}:{name}", "openvino", "cpu", "fp32")


def test_styles_of_one_model_glide_by_one_painting_a_frame(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def open_once(*arguments: Any) -> Engine:
        opened.append(arguments[0])
        return open_engine(*arguments)

    monkeypatch.setattr(styles, "open_engine", open_once)
    with LiveSession(Camera, Controls("same"), choose=two_styles(tmp_path / "two.onnx")) as session:
        show_until(session, lambda _f: session.status().engine != "")
        session.change(style="negative")
        seen = []
        show_until(session, lambda f: seen.append(color_at(f, 0.5)) or seen[-1] == BLUE)  # type: ignore[func-returns-value]
        session.change(second_style="same", mix=0.5)
        show_until(session, lambda f: all(126 <= value <= 129 for value in color_at(f, 0.5)))
    blues = [blue for _red, _green, blue in seen]
    assert blues == sorted(blues)
    assert len(set(blues)) > 5  # on the way, not a jump
    assert len(opened) == 1


def test_file_that_has_changed_is_loaded_again_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    write_inverter(path)
    chosen = partial(choose, backend="openvino", device="cpu", precision="fp32")
    with LiveSession(Camera, Controls(str(path)), choose=chosen) as session:
        show_until(session, is_painted)
        write_two_styles(path)  # whose first style leaves the picture as it is
        session.change(style=str(path))
        show_until(session, lambda f: color_at(f, 0.5) == ORANGE)
        names, number = session.styles()
        assert (names, number) == ([f"{path}:same", f"{path}:negative"], 0)
        session.next_style()
        show_until(session, is_painted)


def test_style_that_cannot_be_had_is_said_and_the_last_one_stays() -> None:
    with LiveSession(Camera, Controls("dark"), choose=alone(open_plain)) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(style="nonsense")
        show_until(session, lambda _f: session.status().problems == ("no style nonsense",))
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))


def test_style_can_be_asked_for_again() -> None:
    missing = {"grey"}

    def opener(style: str) -> Engine:
        if style in missing:
            raise EngineError("grey.onnx does not exist")
        return open_plain(style)

    with LiveSession(Camera, Controls("dark"), choose=alone(opener)) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(style="grey")
        show_until(session, lambda _f: session.status().problems != ())
        missing.clear()
        session.change(style="grey")
        show_until(session, lambda f: color_at(f, 0.5) == (100, 100, 100))
        assert session.status().problems == ()


def test_picture_of_another_shape_is_not_stretched(
    open_inverter: Callable[[str], Engine],
) -> None:
    """As of a telephone that is turned while it streams. What is black beside it is painted too."""

    class Turned(Camera):
        def __init__(self) -> None:
            super().__init__()
            self.info = SourceInfo("camera 0", None, 192, 64, None)

    with LiveSession(Turned, Controls("negative"), choose=alone(open_inverter)) as session:
        frame = show_until(session, is_painted)
    assert (frame.width, frame.height) == (192, 64)
    assert color_at(frame, 0.1) == color_at(frame, 0.9) == (255, 255, 255)
    assert color_at(frame, 0.7) == BLUE


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of threads")
def test_loading_a_style_yields_to_painting(
    open_inverter: Callable[[str], Engine],
) -> None:
    def niceness() -> dict[int, int]:
        tasks = (int(task.name) for task in Path("/proc/self/task").iterdir())
        return {task: os.getpriority(os.PRIO_PROCESS, task) for task in tasks}

    with LiveSession(Camera, Controls("negative"), choose=alone(open_inverter)) as session:
        show_until(session, is_painted)
        before = niceness()  # of what earlier tests left, too
        session.change(style="another")
        (shelf,) = (t for t in threading.enumerate() if t.name == "streamstyle-engines")
        assert shelf.native_id is not None
        show_until(session, lambda _f: niceness()[shelf.native_id] == styles.NICE)
        after = niceness()
        changed = [task for task in before.keys() & after.keys() if before[task] != after[task]]
        assert changed == [shelf.native_id]


class Large(Camera):
    """A camera for which the ladder has several rungs."""

    def __init__(self) -> None:
        super().__init__()
        self.info = SourceInfo("camera 0", None, 640, 480, None)


def test_size_goes_up_to_what_is_allowed_and_comes_down_when_told() -> None:
    """`Plain` sees to it that every size was made ready before it is painted at."""
    with LiveSession(Large, Controls("dark"), choose=alone(open_plain)) as session:
        show_until(session, lambda _f: session.status().size == (640, 480))
        session.quality(-1)
        show_until(session, lambda _f: session.status().size == (512, 384))
        session.quality(-1)
        show_until(session, lambda _f: session.status().size == (416, 312))
        session.change(style="light")
        show_until(session, lambda f: color_at(f, 0.5) == (200, 200, 200))
        assert session.status().size == (416, 312)
        session.quality(1)
        show_until(session, lambda _f: session.status().size == (512, 384))


def test_recording_is_playable_and_keeps_real_time(session: LiveSession, tmp_path: Path) -> None:
    show_until(session, is_painted)
    session.record(tmp_path / "take.mp4")
    assert session.status().recording == tmp_path / "take.mp4"
    captured: list[float] = []
    while len(captured) < 30:
        frame = session.wait(1.0)
        assert frame is not None
        captured.append(frame.captured_at_s)
    session.stop_recording()
    assert session.status().recording is None
    end = time.perf_counter() + 10
    while not (tmp_path / "take.mp4").exists() and time.perf_counter() < end:
        session.wait(0.1)
    take = read_clip(tmp_path / "take.mp4")
    assert take.times[0] == 0
    # Some frames may be only in the file and some only here, but there is one clock: with the two
    # set by one frame that is in both, the others are in both at the same times.
    recorded = np.array([float(at) for at in take.times])

    def shared(offset: float) -> int:
        nearest = np.abs(recorded[:, np.newaxis] + offset - captured).min(axis=0)
        return int((nearest < 1e-4).sum())

    assert max(shared(at - first) for at in captured for first in recorded) > 10
    assert np.abs(take.frames[-1][32, 48].astype(int) - BLUE).max() < 12


def test_recording_is_complete_when_the_session_ends(
    open_inverter: Callable[[str], Engine], tmp_path: Path
) -> None:
    with LiveSession(
        lambda: Camera(40), Controls("negative"), endless=False, choose=alone(open_inverter)
    ) as session:
        session.record(tmp_path / "take.mkv")
        while not session.ended:
            session.wait(0.1)
    assert read_clip(tmp_path / "take.mkv").times


def test_snapshot(session: LiveSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no picture yet"):
        session.snapshot(tmp_path / "shot.png")
    show_until(session, is_painted)
    session.snapshot(tmp_path / "shot.png")
    assert Pillow.open(tmp_path / "shot.png").getpixel((48, 32)) == BLUE


class Recorder(Closing):
    """A sink that does as it is told."""

    def __init__(self, write: Callable[[int], None]) -> None:
        self.notes: list[str] = []
        self.written = 0
        self._write = write

    def write(self, _frame: Frame) -> None:
        self._write(self.written)
        self.written += 1

    def finish(self) -> None: ...

    def close(self) -> None: ...


def test_failing_and_stuck_sinks_are_cut_off_and_the_others_go_on(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlets, "STUCK_S", 0.5)
    monkeypatch.setattr(outlets, "GOODBYE_S", 0.5)
    let_go = threading.Event()

    def fail_at_3(index: int) -> None:
        if index == 3:
            raise OSError("the server hung up")

    def hang_at_3(index: int) -> None:
        if index == 3:
            let_go.wait(20)

    healthy = Recorder(lambda _index: None)
    session.add("server", Recorder(fail_at_3))
    session.add("disk", Recorder(hang_at_3))
    session.add("file", healthy)
    show_until(session, lambda _f: len(session.status().problems) == 2)
    problems = " ".join(session.status().problems)
    assert "server was cut off: the server hung up" in problems
    assert "disk was cut off: it took nothing" in problems
    before = healthy.written
    show_until(session, lambda _f: healthy.written > before + 5)
    let_go.set()


def test_source_that_cannot_be_opened_at_first_is_an_error() -> None:
    def unplugged() -> Camera:
        raise UserError("camera 0 cannot be opened")

    with pytest.raises(UserError, match="cannot be opened"):
        LiveSession(unplugged)


def test_engine_that_cannot_paint_at_all_is_said() -> None:
    class Broken(Plain):
        def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
            raise RuntimeError("out of device memory")

    broken = Broken(0)
    with LiveSession(Camera, Controls("x"), choose=alone(lambda _style: broken)) as session:
        show_until(session, lambda _f: session.status().problems == ("out of device memory",))
        show_until(session, lambda f: color_at(f, 0.5) == ORANGE)
        assert broken.closed


def test_error_while_painting_comes_out() -> None:
    class Broken(Plain):
        painted = 0

        def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
            self.painted += 1
            if self.painted > 3:
                raise RuntimeError("out of device memory")
            return super().paint(frames, style)

    with (
        LiveSession(Camera, Controls("x"), choose=alone(lambda _style: Broken(0))) as session,
        pytest.raises(RuntimeError, match="device memory"),
    ):
        show_until(session, lambda _frame: False)


@pytest.mark.parametrize("promise", [{"fps": 0}, {"max_latency_ms": 1}])
def test_promise_that_nobody_can_hold(promise: dict[str, float]) -> None:
    with pytest.raises(UserError, match="from"):
        Promise(**promise)
