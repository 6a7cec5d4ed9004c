"""Three stages on three threads: source -> [channel] -> engine -> [channel] -> sink. The middle one
may share its work among several painters, who finish in any order; frames go on in theirs.

Whatever ends a run, the input's end, an error in any stage or Ctrl-C, it ends the same way: the
channels are closed or cancelled, the threads joined, the sink and the source closed, and the first
error raised where `run` was called.
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
"""Frames waiting between two stages: one hides the neighbors' jitter, a second one their bursts
(a decoder gives several frames at once); more would only cost memory and delay."""

TICK_S = 0.1
"""How often the caller of `run` is told of the progress."""


class Stats:
    """What is measured while a pipeline runs; may be read from any thread."""

    def __init__(self) -> None:
        self.source = timing.Latency()
        """From asking for a frame to having it, decoded and in RGB."""
        self.engine = timing.Latency()
        """Time to paint a frame, scaling and blending included."""
        self.sink = timing.Latency()
        """Time to show or encode a frame."""
        self.age = timing.Latency()
        """From a frame's capture to the end of its way."""
        self.dropped = 0
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
    """One run from a source to a sink. It closes both."""

    def __init__(
        self,
        source: Source,
        paint: Callable[[Frame], Frame],
        sink: Sink,
        policy: Policy = Policy.WAIT,
        painters: int = 1,
    ) -> None:
        """`policy` is what happens to a captured frame that the engine has no time for; `painters`
        is how many threads may call `paint` at the same time.
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
        """Run to the end; `on_tick` is called on this thread about every TICK_S."""
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
                free.acquire()  # before a frame is taken: one that waits can still be dropped
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
    """One stage on its thread."""

    def __init__(self, work: Callable[[], None], on_error: Callable[[BaseException], None]) -> None:
        self.thread = threading.Thread(target=self._run, name=f"streamstyle{work.__name__}")
        self._work = work
        self._on_error = on_error
        self._stopped = threading.Event()

    def join(self) -> None:
        """Wait for the end of the thread, whatever is pressed meanwhile: what it still uses must
        not be closed. It stops before its next frame.
        """
        if self.thread.ident is None:
            return  # Ctrl-C came before it was started
        while not self._stopped.is_set():
            # Thread.join, once interrupted, takes a running thread for a dead one (Python 3.11).
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
