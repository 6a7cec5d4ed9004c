"""Three stages on three threads: source -> [channel] -> engine -> [channel] -> sink.

The engine stage may share its work among several painters. They may finish in any order; the sink
gets the frames in the order of the source.

A run ends at the end of the input, with an error in any stage, or with Ctrl-C. It always ends in
the same way: the channels are closed or canceled, the threads are joined, the sink and the source
are closed, and `run` raises the first error.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import streamstyle.timing as timing
from streamstyle.channel import Cancelled, Channel, Policy
from streamstyle.frame import Frame
from streamstyle.sinks.base import Sink
from streamstyle.sources.base import Source

QUEUE_DEPTH = 2
"""Maximum frames that wait between two stages.

The first one hides the jitter of the stages, the second one their bursts (a decoder gives several
frames at once). More would only cost memory and delay.
"""

TICK_S = 0.1
"""Seconds between two progress reports to the caller of `run`."""


class Stats:
    """Measurements of a running pipeline; any thread may read them."""

    def __init__(self) -> None:
        self.source = timing.Latency()
        """Time from asking for a frame to having it, decoded and in RGB."""
        self.engine = timing.Latency()
        """Time to paint a frame, including scaling and blending."""
        self.sink = timing.Latency()
        """Time to show or encode a frame."""
        self.age = timing.Latency()
        """Time from a frame's capture until the sink has taken it."""
        self.dropped = 0
        """Number of captured frames dropped before painting."""
        self.started_at_s = timing.now_s()
        self.elapsed_s = 0.0

    @property
    def frames(self) -> int:
        """Frames that have come out of the sink."""
        return self.sink.count

    @property
    def fps(self) -> float:
        return self.frames / self.elapsed_s if self.elapsed_s else 0.0


class Pipeline:
    """One run from a source to a sink; it closes both at the end."""

    def __init__(
        self,
        source: Source,
        paint: Callable[[Frame], Frame],
        sink: Sink,
        policy: Policy = Policy.WAIT,
        painters: int = 1,
    ) -> None:
        """Connect the stages; `run` starts them.

        `policy` decides what happens to captured frames while the engine is busy. `painters` is the
        maximum number of threads that call `paint` at the same time.
        """
        self.stats = Stats()
        self._source = source
        self._paint = paint
        self._sink = sink
        self._captured: Channel[Frame] = Channel(QUEUE_DEPTH, policy)
        self._painted: Channel[Future[Frame]] = Channel(QUEUE_DEPTH, Policy.WAIT)
        self._painters = painters
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def run(self, on_tick: Callable[[Stats], None] | None = None) -> Stats:
        """Run to the end and return the measurements. Raises the first error of any stage.

        `on_tick` is called on the calling thread about every TICK_S and once at the end.
        """
        stages = [_Stage(work, self._fail) for work in (self._read, self._paint_all, self._write)]
        try:
            for stage in stages:
                stage.thread.start()
            while not self._ended.wait(TICK_S):
                self._tick(on_tick)
        except BaseException as error:
            self._fail(error)
        finally:
            for stage in stages:
                stage.join()
            self._close()
        if self._error is not None:
            raise self._error
        self._tick(on_tick)
        return self.stats

    def _read(self) -> None:
        asked_at_s = timing.now_s()
        for frame in self._source:
            self.stats.source.add(timing.now_s() - asked_at_s)
            self._captured.put(frame)
            self.stats.dropped = self._captured.dropped
            asked_at_s = timing.now_s()
        self._captured.close()

    def _paint_all(self) -> None:
        free = threading.Semaphore(self._painters)
        with ThreadPoolExecutor(self._painters, "streamstyle_painter") as painters:
            free.acquire()
            for frame in self._captured:
                painting = painters.submit(self._painted_of, frame)
                painting.add_done_callback(lambda _painting: free.release())
                self._painted.put(painting)
                free.acquire()  # before taking a frame: a waiting one can still be dropped
        self._painted.close()

    def _painted_of(self, frame: Frame) -> Frame:
        with self.stats.engine.measured():
            return self._paint(frame)

    def _write(self) -> None:
        for painting in self._painted:
            frame = painting.result()
            with self.stats.sink.measured():
                self._sink.write(frame)
            self.stats.age.add(timing.now_s() - frame.captured_at_s)
        self._sink.finish()
        self._ended.set()

    def _fail(self, error: BaseException) -> None:
        """Keep the first error and stop every stage."""
        if self._error is None:
            self._error = error
        self._captured.cancel()
        self._painted.cancel()
        self._ended.set()

    def _close(self) -> None:
        for end in (self._sink, self._source):
            try:
                end.close()
            except BaseException as error:
                self._fail(error)

    def _tick(self, on_tick: Callable[[Stats], None] | None) -> None:
        self.stats.elapsed_s = timing.now_s() - self.stats.started_at_s
        if on_tick is not None:
            on_tick(self.stats)


class _Stage:
    """One stage and its thread."""

    def __init__(self, work: Callable[[], None], on_error: Callable[[BaseException], None]) -> None:
        self.thread = threading.Thread(target=self._run, name=f"streamstyle{work.__name__}")
        self._work = work
        self._on_error = on_error
        self._stopped = threading.Event()

    def join(self) -> None:
        """Wait until the thread has ended, even if Ctrl-C is pressed meanwhile.

        Nothing that the thread still uses may be closed. It stops before its next frame.
        """
        if self.thread.ident is None:
            return  # Ctrl-C came before it was started
        while not self._stopped.is_set():
            # After an interrupt, Thread.join takes a running thread for a dead one (Python 3.11).
            with suppress(KeyboardInterrupt):
                self._stopped.wait()
        self.thread.join()

    def _run(self) -> None:
        try:
            self._work()
        except Cancelled:
            pass
        except BaseException as error:
            self._on_error(error)
        finally:
            self._stopped.set()
