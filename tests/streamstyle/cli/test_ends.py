"""A command that is told to end leaves a part that plays, whatever tells it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers.clips import read_clip

pytestmark = pytest.mark.slow

pty = pytest.importorskip("pty", reason="Windows hangs up no terminal")

VIDEO = ["video", "pattern:testsrc", "out.mp4", "--duration", "1:00:00"]
LIVE = ["live", "pattern:testsrc", "--no-window", "--record", "out.mp4"]
PATIENCE_S = 30


@pytest.fixture
def start(tmp_path: Path, inverter_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Return a function that runs a command until it has painted something."""
    running: list[subprocess.Popen[str]] = []

    def run(
        *arguments: str, preexec: Callable[[], object] | None = None, output: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "streamstyle", *arguments, "--style", str(inverter_path)]
        running.append(
            subprocess.Popen(
                command,
                cwd=tmp_path,
                stdin=output,
                stdout=output,
                stderr=output,
                text=True,
                preexec_fn=preexec,
            )
        )
        part = tmp_path / "out.partial.mp4"
        wait_until(lambda: part.exists() and part.stat().st_size > 100_000)
        return running[-1]

    yield run
    for process in running:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + PATIENCE_S
    while not condition():
        assert time.perf_counter() < deadline
        time.sleep(0.05)


def frames_left(folder: Path) -> int:
    """Return the number of frames in the only video of a folder."""
    (video,) = folder.glob("out*.mp4")
    return len(read_clip(video).times)


def test_hang_up_ends_a_video_as_ctrl_c_does(tmp_path: Path, start) -> None:
    process = start(*VIDEO)
    process.send_signal(signal.SIGHUP)
    _, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "streamstyle: stopped" in errors
    assert "out.partial.mp4" in errors
    assert "Traceback" not in errors
    assert frames_left(tmp_path) > 5


def test_hang_up_completes_a_live_recording(tmp_path: Path, start) -> None:
    process = start(*LIVE)
    process.send_signal(signal.SIGHUP)
    output, errors = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "frames shown" in output
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.glob("out*")] == ["out.mp4"]
    assert frames_left(tmp_path) > 5


@pytest.mark.parametrize("command", [VIDEO, LIVE], ids=["video", "live"])
def test_terminal_that_is_closed_leaves_a_part_that_plays(
    tmp_path: Path, start, command: list[str]
) -> None:
    """Closing it hangs up, and all further words to it fail. A shell hangs up once more."""
    terminal, end = pty.openpty()

    def lead_a_session() -> None:
        import fcntl
        import termios

        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = start(*command, preexec=lead_a_session, output=end)
    os.close(end)
    os.close(terminal)
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE_S) > 0
    assert frames_left(tmp_path) > 5


def test_nohup_is_heeded(tmp_path: Path, start) -> None:
    process = start(*VIDEO, preexec=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    part = tmp_path / "out.partial.mp4"
    process.send_signal(signal.SIGHUP)
    seen = part.stat().st_size
    wait_until(lambda: part.stat().st_size > seen + 100_000)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
