"""Ways to paint a frame, each in a process of its own.

So no way shares memory or threads with another, and a way that fails or is killed ends alone.
"""

import math
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.peers import peers
from engines import Frames
from streamstyle.cli.bench import Asked, Contestant, Paint, Size, open_candidates, open_ready
from streamstyle.closeable import Closing
from streamstyle.styles import StyleSpec, engine_label
from streamstyle.timing import now_s

GOODBYE_S = 3.0
"""Seconds for a process to end by itself; after that, it is killed."""


class WayError(Exception):
    """A way can't paint; the message says why in a few words."""


@dataclass(frozen=True)
class Way:
    """A way to paint a frame."""

    name: str
    make: Callable[[Size], Paint]
    """Prepares the way for a size; called in the process that paints."""
    ours: Asked | None = None
    """Backend, device and precision of our engine; None for other ways."""


def ways(style: StyleSpec, size: Size, with_peers: bool) -> Iterator[Way]:
    """Yield all ways; of our engines, those that have painted once at `size`."""
    for engine in open_candidates(style, size):
        with engine:
            ours = (engine.backend, engine.device.lower(), engine.precision)
            yield Way(engine_label(engine), partial(_engine, style, ours), ours)
    for name, make in peers(style).items() if with_peers else ():
        yield Way(name, make)


class Worker(Contestant, Closing):
    """A way, ready for frames of one size, in a process of its own."""

    def __init__(self, way: Way, size: Size) -> None:
        super().__init__(way.name, self.paint)
        self.mb = 0.0
        """Peak memory of the process so far, in megabytes."""
        self.failure = ""
        """Why the way no longer paints; empty while it does."""
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, way, size), daemon=True)
        with _ctrl_c_held_back():
            self._process.start()
        theirs.close()

    def paint(self, frames: Frames) -> Frames:
        """Return `frames` painted; raise WayError if the way can't paint."""
        painted = self._answer(frames, True).painted
        assert painted is not None
        return painted

    def timed(self, frames: Frames) -> float:
        """Return the seconds for a frame, measured in the way's own process.

        They are infinite after a failure, so that the way's turns are soon over.
        """
        try:
            return math.inf if self.failure else self._answer(frames, False).seconds
        except WayError as error:
            self.failure = str(error)
            return math.inf

    def close(self) -> None:
        self._pipe.close()
        self._process.join(GOODBYE_S)
        self._process.kill()
        self._process.join()

    def _answer(self, frames: Frames, wanted: bool) -> "_Answer":
        try:
            with suppress(BrokenPipeError):  # it may have said why before it ended
                self._pipe.send((frames, wanted))
            answer: _Answer | str = self._pipe.recv()
        except (EOFError, ConnectionResetError):
            self._process.join()
            status = self._process.exitcode
            raise WayError(f"its process ended with status {status}") from None
        if isinstance(answer, str):
            raise WayError(answer)
        self.mb = answer.mb
        return answer


@dataclass(frozen=True)
class _Answer:
    seconds: float
    mb: float
    painted: Frames | None


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Hold back Ctrl-C during the block, and deliver it afterwards.

    Processes that start in the block never receive it, on systems where a signal can be blocked for
    a thread and the processes it starts.
    """
    came: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    if sys.platform != "win32":
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)
    if came:
        signal.raise_signal(signal.SIGINT)


def in_a_line(error: Exception) -> str:
    """Return the first line of the error's message, at most 120 characters long."""
    words = str(error).strip().splitlines() or [type(error).__name__]
    return words[0][:120]


def _serve(pipe: Connection, way: Way, size: Size) -> None:
    """Paint frames from the pipe until it closes, or send one line that says why it can't."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
    try:
        paint = way.make(size)
        while True:
            frames, wanted = pipe.recv()
            started_at_s = now_s()
            painted = paint(frames)
            seconds = now_s() - started_at_s
            pipe.send(_Answer(seconds, _peak_mb(), painted if wanted else None))
    except (EOFError, ConnectionError):  # the parent has gone, or waits no longer
        pass
    except Exception as error:  # whatever a library raises
        pipe.send(in_a_line(error))


def _engine(style: StyleSpec, ours: Asked, size: Size) -> Paint:
    return open_ready(style, ours, size).paint


def _peak_mb() -> float:
    """Return the peak memory of this process in megabytes."""
    status = Path("/proc/self/status")
    if status.exists():  # here getrusage would include the parent process
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
