"""A session without a window: what it shows and records, and which failures it survives."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from weakref import WeakSet

import numpy as np
import pytest
from PIL import Image as Pillow

from engines import NO_STYLE, Engine, Frames, Style
from streamstyle.errors import UserError
from streamstyle.live import recorder
from streamstyle.live.controls import Controls, View
from streamstyle.live.recorder import Outlet
from streamstyle.live.resolution_governor import Promise
from streamstyle.live.session import LiveSession
from streamstyle.sources import SourceInfo
from tests.helpers.clips import read_clip
from tests.helpers.live import (
    BLUE,
    ORANGE,
    Camera,
    Plain,
    Recorder,
    alone,
    color_at,
    is_painted,
    named,
    open_plain,
    show_until,
)


@pytest.fixture
def session(open_inverter: Callable[[str], Engine]) -> Iterator[LiveSession]:
    with LiveSession(Camera, Controls(named("negative")), choose=alone(open_inverter)) as opened:
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
    session.change(replace(session.controls, view=view))
    frame = show_until(session, lambda f: (color_at(f, 0.3), color_at(f, 0.7)) == (left, right))
    assert frame.width == (192 if view is View.SIDE_BY_SIDE else 96)


def test_strength_mirror_and_split(session: LiveSession) -> None:
    session.change(replace(session.controls, strength=0.5))
    show_until(session, lambda f: max(abs(v - 128) for v in color_at(f, 0.5)) <= 1)
    session.change(replace(session.controls, strength=1.0, mirror=True))
    show_until(session, lambda f: color_at(f, 0.97) == (255, 255, 255))
    session.change(replace(session.controls, view=View.SPLIT, split=0.9))
    show_until(session, lambda f: (color_at(f, 0.85), color_at(f, 0.97)) == (ORANGE, (255,) * 3))


def test_pause_holds_the_picture(session: LiveSession) -> None:
    show_until(session, is_painted)
    session.change(replace(session.controls, paused=True))
    time.sleep(0.2)
    session.wait(0)
    assert session.wait(0.3) is None
    session.change(replace(session.controls, paused=False))
    show_until(session, is_painted)


def test_picture_of_another_shape_is_not_stretched(
    open_inverter: Callable[[str], Engine],
) -> None:
    """A phone may be turned while it streams.

    The black bars beside the picture are painted too.
    """

    class Turned(Camera):
        def __init__(self) -> None:
            super().__init__()
            self.info = SourceInfo("camera 0", None, 192, 64, None)

    with LiveSession(Turned, Controls(named("negative")), choose=alone(open_inverter)) as session:
        frame = show_until(session, is_painted)
    assert (frame.width, frame.height) == (192, 64)
    assert color_at(frame, 0.1) == color_at(frame, 0.9) == (255, 255, 255)
    assert color_at(frame, 0.7) == BLUE


class Large(Camera):
    """A camera large enough for several sizes of the network."""

    def __init__(self) -> None:
        super().__init__()
        self.info = SourceInfo("camera 0", None, 640, 480, None)


@pytest.mark.slow
def test_size_goes_up_to_what_is_allowed_and_comes_down_when_told() -> None:
    """`Plain` asserts that every size was prepared before it paints."""
    with LiveSession(Large, Controls(named("dark")), choose=alone(open_plain)) as session:
        show_until(session, lambda _f: session.status().size == (640, 480))
        session.quality(-1)
        assert session.largest == (512, 384)
        show_until(session, lambda _f: session.status().size == (512, 384))
        session.quality(-1)
        show_until(session, lambda _f: session.status().size == (416, 312))
        session.change(replace(session.controls, style=named("light")))
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
    # Some frames may be only in the file, others only in `captured`. But both use one clock: once
    # the two are aligned by one common frame, all other common frames have the same times.
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
        lambda: Camera(40), Controls(named("negative")), endless=False, choose=alone(open_inverter)
    ) as session:
        session.record(tmp_path / "take.mkv")
        while not session.ended:
            session.wait(0.1)
    assert read_clip(tmp_path / "take.mkv").times


def test_complete_recordings_are_not_kept(session: LiveSession, tmp_path: Path) -> None:
    show_until(session, is_painted)
    recorders: WeakSet[Outlet] = WeakSet()
    for number in range(3):
        folder = tmp_path / str(number)
        folder.mkdir()
        session.record(folder / "take.mp4")
        recorders.update(session._recordings._takes)
        show_until(session, lambda _f, folder=folder: any(folder.iterdir()))  # type: ignore[misc]
        session.stop_recording()
        show_until(session, lambda _f, take=folder / "take.mp4": take.exists())  # type: ignore[misc]
    gc.collect()
    assert len(recorders) == 1


def test_snapshot(session: LiveSession, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no picture yet"):
        session.snapshot(tmp_path / "shot.png")
    show_until(session, is_painted)
    session.snapshot(tmp_path / "shot.png")
    assert Pillow.open(tmp_path / "shot.png").getpixel((48, 32)) == BLUE


def test_failing_and_stuck_sinks_are_cut_off_and_the_others_go_on(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "STUCK_S", 0.5)
    monkeypatch.setattr(recorder, "GOODBYE_S", 0.5)
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
    assert "disk was cut off: it accepted no frame" in problems
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
    with LiveSession(Camera, Controls(named("x")), choose=alone(lambda _style: broken)) as session:
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
        LiveSession(
            Camera, Controls(named("x")), choose=alone(lambda _style: Broken(0))
        ) as session,
        pytest.raises(RuntimeError, match="device memory"),
    ):
        show_until(session, lambda _frame: False)


@pytest.mark.parametrize("promise", [{"fps": 0}, {"max_latency_ms": 1}])
def test_promise_that_nobody_can_hold(promise: dict[str, float]) -> None:
    with pytest.raises(UserError, match="from"):
        Promise(**promise)
