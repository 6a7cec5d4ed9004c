"""The pipeline: three conditions that make other software hang, and the ways a run can end."""

import itertools
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np
import pytest

from streamstyle.channel import Policy
from streamstyle.closeable import Closing
from streamstyle.frame import Frame
from streamstyle.pipeline import QUEUE_DEPTH, Pipeline, Stats
from streamstyle.sources import SourceInfo

FULL = 2 * QUEUE_DEPTH + 3
"""Number of frames after which every channel is full while the sink holds the first frame."""


class CountingSource(Closing):
    def __init__(self, length: int | None, fail_at: int | None = None) -> None:
        self.info = SourceInfo("test", length, 16, 16, None)
        self.notes: list[str] = []
        self.closed = 0
        self.given = 0
        self._length = length
        self._fail_at = fail_at

    def __iter__(self) -> Iterator[Frame]:
        numbers = itertools.count() if self._length is None else range(self._length)
        for index in numbers:
            if index == self._fail_at:
                raise OSError("the cable was pulled")
            self.given += 1
            yield Frame(np.full((16, 16, 3), index % 256, np.uint8), index, Fraction(index, 25))

    def close(self) -> None:
        self.closed += 1


class CollectingSink(Closing):
    def __init__(self, on_write: Callable[[Frame], None] = lambda _frame: None) -> None:
        self.notes: list[str] = []
        self.frames: list[int] = []
        self.finished = 0
        self.closed = 0
        self._on_write = on_write

    def write(self, frame: Frame) -> None:
        self._on_write(frame)
        self.frames.append(frame.index)

    def finish(self) -> None:
        self.finished += 1

    def close(self) -> None:
        self.closed += 1


def same(frame: Frame) -> Frame:
    return frame


def run_and_expect(pipeline: Pipeline, error: type[BaseException], words: str) -> None:
    """The stage's own error is raised within a second, and all threads have ended."""
    started = time.perf_counter()
    with pytest.raises(error, match=words) as caught:
        pipeline.run()
    assert time.perf_counter() - started < 1.0
    assert caught.traceback[-1].name not in ("run", "_fail")
    assert not [t for t in threading.enumerate() if t.name.startswith("streamstyle")]


def test_every_frame_goes_through_in_order() -> None:
    source, sink = CountingSource(500), CollectingSink()
    stats = Pipeline(source, same, sink).run()
    assert sink.frames == list(range(500))
    assert stats.frames == 500
    assert stats.dropped == 0
    assert (sink.finished, sink.closed, source.closed) == (1, 1, 1)


def test_several_painters_work_at_once_and_frames_keep_their_order() -> None:
    together = threading.Barrier(3, timeout=5)

    def paint(frame: Frame) -> Frame:
        if frame.index < 30:
            together.wait()  # breaks unless three are at work
        time.sleep(0.002 * (frame.index % 3))  # some later frames finish earlier
        return frame

    sink = CollectingSink()
    stats = Pipeline(CountingSource(60), paint, sink, painters=3).run()
    assert sink.frames == list(range(60))
    assert stats.engine.count == 60


def test_one_of_several_painters_raises() -> None:
    at_work = 0

    def paint(frame: Frame) -> Frame:
        nonlocal at_work
        at_work = max(at_work, frame.index)
        if frame.index == 7:
            raise RuntimeError("the device fell off the bus")
        return frame

    source, sink = CountingSource(None), CollectingSink()
    run_and_expect(Pipeline(source, paint, sink, painters=3), RuntimeError, "fell off")
    assert sink.frames == list(range(7))
    assert at_work <= 7 + FULL + 3
    assert (sink.finished, sink.closed, source.closed) == (0, 1, 1)


def test_stages_overlap() -> None:
    """While the sink holds the first frame, the engine and the source go on."""
    source = CountingSource(50)
    seen_while_writing: list[int] = []

    def slow_first(frame: Frame) -> None:
        if frame.index == 0:
            deadline = time.perf_counter() + 5
            while source.given < FULL and time.perf_counter() < deadline:
                time.sleep(0.005)
            seen_while_writing.append(source.given)

    Pipeline(source, same, CollectingSink(slow_first)).run()
    assert seen_while_writing[0] >= FULL


def test_source_that_raises_while_channels_are_full() -> None:
    source = CountingSource(None, fail_at=FULL)
    blocked = threading.Event()

    def hold_the_first(frame: Frame) -> None:
        if frame.index == 0:
            blocked.wait(0.3)

    sink = CollectingSink(hold_the_first)
    run_and_expect(Pipeline(source, same, sink), OSError, "cable")
    assert (sink.finished, sink.closed, source.closed) == (0, 1, 1)


def test_engine_that_raises_while_channels_are_full() -> None:
    source = CountingSource(None)

    def hold_the_first(frame: Frame) -> None:
        if frame.index == 0:
            time.sleep(0.3)

    def paint(frame: Frame) -> Frame:
        if frame.index == QUEUE_DEPTH + 1:  # the painted channel is full behind this one
            while source.given < FULL:
                time.sleep(0.005)
            raise RuntimeError("out of device memory")
        return frame

    sink = CollectingSink(hold_the_first)
    run_and_expect(Pipeline(source, paint, sink), RuntimeError, "device memory")
    assert (sink.finished, sink.closed, source.closed) == (0, 1, 1)


def test_sink_that_raises_while_channels_are_full() -> None:
    source = CountingSource(None)

    def fail_when_full(_frame: Frame) -> None:
        while source.given < FULL:
            time.sleep(0.005)
        raise OSError("no space left")

    sink = CollectingSink(fail_when_full)
    run_and_expect(Pipeline(source, same, sink), OSError, "no space")
    assert (sink.finished, sink.closed, source.closed) == (0, 1, 1)


def test_first_error_wins() -> None:
    """A sink that cannot be closed after an error does not hide the error."""

    class Stubborn(CollectingSink):
        def close(self) -> None:
            raise ValueError("and cannot be closed either")

    run_and_expect(Pipeline(CountingSource(None, fail_at=3), same, Stubborn()), OSError, "cable")


def test_error_of_closing_alone_comes_out() -> None:
    class Stubborn(CollectingSink):
        def close(self) -> None:
            raise ValueError("cannot be closed")

    run_and_expect(Pipeline(CountingSource(3), same, Stubborn()), ValueError, "closed")


def test_ctrl_c_stops_an_endless_source() -> None:
    source, sink = CountingSource(None), CollectingSink(lambda _frame: time.sleep(0.001))

    def press_ctrl_c(stats: Stats) -> None:
        if stats.frames > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Pipeline(source, same, sink).run(press_ctrl_c)
    assert (sink.finished, sink.closed, source.closed) == (0, 1, 1)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no interval timer")
def test_impatient_ctrl_c_does_not_close_what_a_thread_still_uses() -> None:
    """The second Ctrl-C comes while `run` waits for the threads."""
    in_use = threading.Event()
    closed_while_in_use = []

    class BusySource(CountingSource):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                in_use.set()
                time.sleep(0.3)
                in_use.clear()
                yield frame

        def close(self) -> None:
            closed_while_in_use.append(in_use.is_set())

    def press_twice(_stats: Stats) -> None:
        assert in_use.wait(5)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            Pipeline(BusySource(None), same, CollectingSink()).run(press_twice)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert closed_while_in_use == [False]


def test_camera_policy_keeps_the_newest() -> None:
    source = CountingSource(400)
    sink = CollectingSink(lambda _frame: time.sleep(0.002))
    stats = Pipeline(source, same, sink, Policy.NEWEST).run()
    assert stats.dropped > 0
    assert stats.dropped + stats.frames == 400
    assert sink.frames == sorted(sink.frames)
    assert sink.frames[-1] == 399


def test_latencies_are_measured() -> None:
    def paint(frame: Frame) -> Frame:
        time.sleep(0.01)
        return frame

    class SlowSource(CountingSource):
        def __iter__(self) -> Iterator[Frame]:
            for frame in super().__iter__():
                time.sleep(0.03)
                yield frame

    stats = Pipeline(SlowSource(10), paint, CollectingSink()).run()
    assert stats.source.count == stats.engine.count == stats.sink.count == stats.age.count == 10
    assert stats.source.percentile_ms(50) >= 30
    assert stats.sink.percentile_ms(50) < 10
    assert stats.engine.percentile_ms(50) >= 10
    assert stats.age.percentile_ms(99) >= stats.engine.percentile_ms(50)
