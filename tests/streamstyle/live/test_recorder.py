"""Sinks beside the window, each on a thread of its own."""

import threading
from dataclasses import replace

import pytest

from streamstyle.frame import Frame
from streamstyle.live.recorder import Outlet
from tests.helpers.live import Camera, Recorder


class Counted(Recorder):
    """A sink that notes the order in which it is finished and closed."""

    def __init__(self, fails_at: str | None = None) -> None:
        super().__init__(lambda _index: self._do("write"))
        self.done: list[str] = []
        self._fails_at = fails_at

    def finish(self) -> None:
        self._do("finish")

    def close(self) -> None:
        self._do("close")

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what == self._fails_at:
            raise OSError("the disk is gone")


def test_a_sink_is_finished_and_then_closed() -> None:
    sink = Counted()
    outlet = Outlet("take", sink)
    outlet.put(Camera.frame(0))
    outlet.join()
    assert sink.done == ["write", "finish", "close"]
    assert (outlet.finished, outlet.problem, outlet.notes) == (True, None, [])


@pytest.mark.parametrize("fails_at", ["write", "finish"])
def test_a_sink_that_fails_is_closed_too(fails_at: str) -> None:
    sink = Counted(fails_at)
    outlet = Outlet("take", sink)
    outlet.put(Camera.frame(0))
    outlet.join()
    assert sink.done[-2:] == [fails_at, "close"]
    assert not outlet.finished
    assert outlet.notes == ["take was cut off: the disk is gone"]


def test_times_count_from_the_first_frame_and_never_repeat() -> None:
    written: list[Frame] = []
    second = threading.Event()

    class Keeping(Counted):
        def write(self, frame: Frame) -> None:
            written.append(frame)
            if len(written) == 2:
                second.set()

    outlet = Outlet("take", Keeping())
    first = replace(Camera.frame(3), captured_at_s=100.0)
    outlet.put(first)
    outlet.put(first)  # of the same moment
    outlet.put(replace(Camera.frame(4), captured_at_s=100.02))
    assert second.wait(5)
    outlet.join()
    assert [float(frame.pts_seconds) for frame in written] == [0, pytest.approx(0.02, abs=1e-4)]
