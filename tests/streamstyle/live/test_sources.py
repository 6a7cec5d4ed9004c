"""Cameras and streams may disappear and return during a session."""

import itertools
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from engines import Engine
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.live import capture
from streamstyle.live.controls import Controls
from streamstyle.live.session import LiveSession
from streamstyle.media import container
from streamstyle.sources import camera
from tests.helpers.live import (
    BLUE,
    ORANGE,
    Camera,
    alone,
    color_at,
    free_port,
    is_painted,
    named,
    opener_of,
    show_until,
)

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0

OTHER = (255, 255, 0)
"""The negative of pure blue, the color in which a stream returns."""

RTMP_MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture, "PAUSES_S", (0.2,))
    monkeypatch.setattr(container, "LIVE_TIMEOUT_S", 2.0)
    monkeypatch.setattr(container, "OPEN_TIMEOUT_S", 5.0)


class Sender:
    """A process that runs `tests.helpers.sender`."""

    def __init__(self, address: str, size: str = "96x64", fps: int = 25, color: object = ORANGE):
        words = [address, size, str(fps), ",".join(map(str, color))]  # type: ignore[call-overload]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.helpers.sender", *words],
            cwd=Path(__file__).parents[3],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._address = address

    @property
    def address(self) -> str:
        """Return the sender's address; a server is waited for until it listens."""
        if self._address.endswith(":0"):
            assert self._process.stdout is not None
            self._address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self._address

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill the process; may be called again."""
        self._process.kill()
        with self._process:
            pass  # leaving the block closes the pipe and waits for the process


@pytest.fixture
def send() -> Iterator[Callable[..., Sender]]:
    """Return a function that starts senders, and kill them after the test."""
    senders: list[Sender] = []

    def start(*words: object, **more: object) -> Sender:
        senders.append(Sender(*words, **more))  # type: ignore[arg-type]
        return senders[-1]

    yield start
    for sender in senders:
        sender.kill()


def is_about(color: tuple[int, ...]) -> Callable[[Frame], bool]:
    """Return a check for `color` that allows for the small changes of encoding."""

    def wanted(frame: Frame) -> bool:
        seen = color_at(frame, 0.5)
        return max(abs(a - b) for a, b in zip(seen, color, strict=True)) < 12

    return wanted


def wait_for_problem(session: LiveSession) -> None:
    end = time.perf_counter() + PATIENCE_S
    while not session.status().problems:
        assert time.perf_counter() < end
        session.wait(0.05)


def wait_for_return(session: LiveSession, color: tuple[int, ...]) -> Frame:
    """Show frames until `color` is painted again and no problem is reported."""
    wanted = is_about(color)
    return show_until(
        session, lambda frame: wanted(frame) and not session.status().problems, PATIENCE_S
    )


@pytest.fixture
def watch(open_inverter: Callable[[str], Engine]) -> Callable[[str], LiveSession]:
    """Return a function that starts a session on an address, as `streamstyle live` does."""

    def start(address: str) -> LiveSession:
        opener, endless = opener_of(address)
        return LiveSession(
            opener, Controls(named("negative")), endless=endless, choose=alone(open_inverter)
        )

    return start


def test_camera_that_goes_is_opened_again(
    open_inverter: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "PAUSES_S", (0.3, 0.3))
    opened: list[Camera] = []

    def plug() -> Camera:
        if len(opened) in (1, 2):
            opened.append(Camera())
            raise UserError("camera 0 cannot be opened")
        opened.append(Camera(frames=20 if not opened else None))
        return opened[-1]

    with LiveSession(plug, Controls(named("negative")), choose=alone(open_inverter)) as session:
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


def test_camera_that_blocks_does_not_hold_up_the_end(
    open_inverter: Callable[[str], Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "GOODBYE_S", 0.2)
    let_go = threading.Event()

    class Stuck(Camera):
        def __iter__(self) -> Iterator[Frame]:
            yield from itertools.islice(super().__iter__(), 3)
            let_go.wait(20)

    session = LiveSession(Stuck, Controls(named("negative")), choose=alone(open_inverter))
    session.wait(5)
    started_s = time.perf_counter()
    session.close()
    assert time.perf_counter() - started_s < 5
    let_go.set()
    time.sleep(0.1)


def test_camera_is_found_by_name_wherever_it_is_plugged_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A list stands in for webcams, which no test machine has; opening one really fails."""
    monkeypatch.setattr(camera, "cameras", lambda: {0: "Built-in", 97: "Acme Eye 2"})
    opener, endless = opener_of("acme eye")
    assert endless
    with pytest.raises(UserError, match="camera 97 cannot be opened"):
        opener()
    monkeypatch.setattr(camera, "cameras", lambda: {0: "Built-in", 98: "Acme Eye 2"})
    with pytest.raises(UserError, match="camera 98 cannot be opened"):
        opener()
    monkeypatch.setattr(camera, "cameras", lambda: {0: "Built-in"})
    with pytest.raises(UserError, match="no camera acme eye; available: 0 Built-in"):
        opener()


def test_stream_that_is_killed_and_returns_otherwise_is_painted_again(
    send: Callable[..., Sender], watch: Callable[[str], LiveSession]
) -> None:
    """The stream returns with another size, rate and color."""
    sender = send("http://127.0.0.1:0")
    with watch(sender.address) as session:
        show_until(session, is_about(BLUE), PATIENCE_S)
        sender.kill()
        wait_for_problem(session)
        send(sender.address, size="160x120", fps=10, color=(0, 0, 255))
        frame = wait_for_return(session, OTHER)
        assert (frame.width, frame.height) == (96, 64)  # the output keeps its size


@pytest.mark.parametrize("replaced", [False, True])
def test_stream_that_freezes_is_left_and_found_again(
    send: Callable[..., Sender], watch: Callable[[str], LiveSession], replaced: bool
) -> None:
    sender = send("http://127.0.0.1:0")
    with watch(sender.address) as session:
        show_until(session, is_about(BLUE), PATIENCE_S)
        sender.freeze()
        wait_for_problem(session)
        if replaced:
            sender.kill()
            send(sender.address)
        else:
            sender.go_on()
        wait_for_return(session, BLUE)


class Nginx:
    """An RTMP server."""

    def __init__(self, folder: Path, port: int) -> None:
        (folder / "nginx.conf").write_text(
            f"load_module {RTMP_MODULE}; daemon off; master_process off; pid {folder}/pid;\n"
            "events {}\n"
            f"rtmp {{ server {{ listen 127.0.0.1:{port}; application live {{ live on; }} }} }}\n"
        )
        self._process = subprocess.Popen(
            ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")],
            stderr=subprocess.DEVNULL,
        )
        self.address = f"rtmp://127.0.0.1:{port}/live/painting"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def publish(send: Callable[..., Sender], server: Nginx) -> Sender:
    port = urlsplit(server.address).port
    end = time.perf_counter() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return send(server.address)
        except OSError:  # the server does not listen yet
            assert time.perf_counter() < end
            time.sleep(0.1)


def watch_when_published(watch: Callable[[str], LiveSession], server: Nginx) -> LiveSession:
    end = time.perf_counter() + PATIENCE_S
    while True:
        try:
            return watch(server.address)
        except UserError:
            assert time.perf_counter() < end


@pytest.mark.skipif(
    shutil.which("nginx") is None or not RTMP_MODULE.exists(), reason="needs nginx with RTMP"
)
def test_publisher_and_server_of_rtmp_may_go_and_return(
    send: Callable[..., Sender],
    watch: Callable[[str], LiveSession],
    tmp_path: Path,
) -> None:
    port = free_port()
    server = Nginx(tmp_path, port)
    try:
        publisher = publish(send, server)
        with watch_when_published(watch, server) as session:
            show_until(session, is_about(BLUE), PATIENCE_S)
            publisher.kill()
            wait_for_problem(session)
            publisher = publish(send, server)
            wait_for_return(session, BLUE)
            server.kill()
            publisher.kill()
            wait_for_problem(session)
            server = Nginx(tmp_path, port)
            publish(send, server)
            wait_for_return(session, BLUE)
    finally:
        server.kill()
