"""A session without a window: what it shows, records and survives."""

import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from engines import NO_STYLE, Engine, EngineError, Frames, Style, open_engine
from streamstyle.closing import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.live import capture, outlets
from streamstyle.live.controls import Controls, View
from streamstyle.live.session import LiveSession, Promise
from streamstyle.sources import SourceInfo, open_video
from tests.clips import read_clip

ORANGE, BLUE = (255, 128, 0), (0, 127, 255)
"""A colour and its negative."""


class Camera(Closing):
    """Stands in for a webcam, which no test machine has: an orange picture 50 times a second."""

    def __init__(self, frames: int | None = None) -> None:
        self.info = SourceInfo("camera 0", None, 96, 64, None)
        self.notes: list[str] = []
        self.closed = False
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        for index in itertools.count() if self._frames is None else range(self._frames):
            time.sleep(0.02)
            image = np.full((64, 96, 3), ORANGE, np.uint8)
            image[:, :8] = 0  # black on the left, so that a mirror can be told
            yield Frame(image, index, Fraction(index, 50))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def open_inverter(inverter_path: Path) -> Callable[[str], Engine]:
    return lambda _style: open_engine(inverter_path, "openvino", "cpu", "fp32")


@pytest.fixture
def session(open_inverter: Callable[[str], Engine]) -> Iterator[LiveSession]:
    with LiveSession(Camera, Controls("negative"), open_style=open_inverter) as opened:
        yield opened


def color_at(frame: Frame, x: float) -> tuple[int, ...]:
    """In the middle row, at this part of the width."""
    return tuple(int(v) for v in frame.image[frame.height // 2, int(x * frame.width)])


def show_until(
    session: LiveSession, wanted: Callable[[Frame], bool], seconds: float = 20.0
) -> Frame:
    """Show frames until one is as wanted."""
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

    def prepare(self, height: int, width: int, batch: int = 1) -> None:
        time.sleep(0.05)

    def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
        assert not self.closed
        return np.full_like(frames, self.level)

    def close(self) -> None:
        self.closed = True


LEVELS = {"dark": 0, "light": 200, "grey": 100}


def open_plain(style: str) -> Engine:
    if style not in LEVELS:
        raise EngineError(f"no style {style}")
    return Plain(LEVELS[style])  # type: ignore[return-value]


def test_style_fades_into_the_next_without_a_gap() -> None:
    with LiveSession(Camera, Controls("dark"), open_style=open_plain) as session:
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
    with LiveSession(Camera, Controls("dark"), open_style=open_plain) as session:
        session.change(second_style="light", mix=0.25)
        show_until(session, lambda f: color_at(f, 0.5) == (50, 50, 50))
        session.change(mix=0.75)
        show_until(session, lambda f: color_at(f, 0.5) == (150, 150, 150))


def test_style_that_cannot_be_had_is_said_and_the_last_one_stays() -> None:
    with LiveSession(Camera, Controls("dark"), open_style=open_plain) as session:
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))
        session.change(style="nonsense")
        show_until(session, lambda _f: session.status().problems == ("no style nonsense",))
        show_until(session, lambda f: color_at(f, 0.5) == (0, 0, 0))


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
        lambda: Camera(40), Controls("negative"), endless=False, open_style=open_inverter
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


def test_camera_that_goes_is_opened_again(
    open_inverter: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "PAUSES_S", (0.05, 0.1))
    opened: list[Camera] = []

    def plug() -> Camera:
        if len(opened) in (1, 2):
            opened.append(Camera())
            raise UserError("camera 0 cannot be opened")
        opened.append(Camera(frames=20 if not opened else None))
        return opened[-1]

    with LiveSession(plug, Controls("negative"), open_style=open_inverter) as session:
        end = time.perf_counter() + 20
        said = set()
        while len(opened) < 4 and time.perf_counter() < end:
            frame = session.wait(0.02)
            if frame is not None:
                session.was_shown(frame)
            said |= set(session.status().problems)
        assert {"camera 0 has gone; waiting for it", "camera 0 cannot be opened"} <= said
        show_until(session, lambda f: is_painted(f) and not session.status().problems)
        assert opened[0].closed


SENDER = """
import sys, time
from fractions import Fraction
import av
import numpy as np

address = f"tcp://127.0.0.1:{sys.argv[1]}?listen=1"
with av.open(address, "w", format="mpegts") as output:
    stream = output.add_stream("libx264", rate=25, options={"tune": "zerolatency", "g": "5"})
    stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
    picture = np.full((64, 96, 3), (255, 128, 0), np.uint8)
    for index in range(1500):
        time.sleep(0.04)
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = index, Fraction(1, 25)
        output.mux(stream.encode(frame))
"""


def test_stream_that_is_killed_and_restarted_is_painted_again(
    open_inverter: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real sender on loopback."""
    monkeypatch.setattr(capture, "PAUSES_S", (0.2,))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def send() -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SENDER, str(port)], stderr=subprocess.PIPE)

    def is_about_blue(frame: Frame) -> bool:
        return max(abs(a - b) for a, b in zip(color_at(frame, 0.5), BLUE, strict=True)) < 12

    def connect() -> LiveSession:
        end = time.perf_counter() + 20
        while True:
            try:
                return LiveSession(
                    lambda: open_video(f"tcp://127.0.0.1:{port}"),
                    Controls("negative"),
                    open_style=open_inverter,
                )
            except UserError:  # it does not listen yet
                assert time.perf_counter() < end
                time.sleep(0.2)

    sender = send()
    try:
        with connect() as session:
            show_until(session, is_about_blue)
            sender.kill()
            sender.communicate()
            end = time.perf_counter() + 30
            while not session.status().problems and time.perf_counter() < end:
                session.wait(0.05)
            assert session.status().problems
            sender = send()
            show_until(
                session, lambda f: is_about_blue(f) and not session.status().problems, seconds=40
            )
    finally:
        sender.kill()
        sender.communicate()


def test_camera_that_blocks_does_not_hold_up_the_end(
    open_inverter: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "GOODBYE_S", 0.2)
    let_go = threading.Event()

    class Stuck(Camera):
        def __iter__(self) -> Iterator[Frame]:
            yield from itertools.islice(super().__iter__(), 3)
            let_go.wait(20)

    session = LiveSession(Stuck, Controls("negative"), open_style=open_inverter)
    session.wait(5)
    started_s = time.perf_counter()
    session.close()
    assert time.perf_counter() - started_s < 5
    let_go.set()
    time.sleep(0.1)


def test_source_that_cannot_be_opened_at_first_is_an_error() -> None:
    def unplugged() -> Camera:
        raise UserError("camera 0 cannot be opened")

    with pytest.raises(UserError, match="cannot be opened"):
        LiveSession(unplugged)


def test_error_while_painting_comes_out() -> None:
    class Broken(Plain):
        def paint(self, frames: Frames, style: Style = NO_STYLE) -> Frames:
            raise RuntimeError("out of device memory")

    with (
        LiveSession(Camera, Controls("x"), open_style=lambda _style: Broken(0)) as session,
        pytest.raises(RuntimeError, match="device memory"),
    ):
        show_until(session, lambda _frame: False)


@pytest.mark.parametrize("promise", [{"fps": 0}, {"max_latency_ms": 1}])
def test_promise_that_nobody_can_hold(promise: dict[str, float]) -> None:
    with pytest.raises(UserError, match="from"):
        Promise(**promise)
