"""Ways to paint a frame, each in a process of its own: none has the memory or the threads of
another in it, and one that fails, or is killed, ends alone.
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
from streamstyle.api import describe
from streamstyle.cli.bench import Asked, Contestant, Paint, Size, open_candidates, open_ready
from streamstyle.closeable import Closing
from streamstyle.styles import StyleSpec
from streamstyle.timing import now_s

GOODBYE_S = 3.0
"""For a process to end by itself; one that is at a frame, or compiles, is killed."""


class WayError(Exception):
    """Why a way does not paint, in a few words."""


@dataclass(frozen=True)
class Way:
    name: str
    make: Callable[[Size], Paint]
    """Called in the process that paints."""
    ours: Asked | None = None
    """None for another's engine."""


def ways(style: StyleSpec, size: Size, with_peers: bool) -> Iterator[Way]:
    """All ways; of ours, those that are once seen to paint at `size`."""
    for engine in open_candidates(style, size):
        with engine:
            ours = (engine.backend, engine.device.lower(), engine.precision)
            yield Way(describe(engine), partial(_engine, style, ours), ours)
    for name, make in peers(style).items() if with_peers else ():
        yield Way(name, make)


class Worker(Contestant, Closing):
    """A way, ready for frames of one size, in a process of its own."""

    def __init__(self, way: Way, size: Size) -> None:
        super().__init__(way.name, self.paint)
        self.mb = 0.0
        """That the process had at most so far."""
        self.failure = ""
        """Why it paints no more."""
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, way, size), daemon=True)
        with _ctrl_c_held_back():
            self._process.start()
        theirs.close()

    def paint(self, frames: Frames) -> Frames:
        """Raises WayError if it can't."""
        painted = self._answer(frames, True).painted
        assert painted is not None
        return painted

    def timed(self, frames: Frames) -> float:
        """In its own process. One that has failed takes for ever, and so is soon through."""
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
    """What comes of it meanwhile comes afterwards. To processes that are started meanwhile it does
    not come, on systems where it can be kept from a thread and what that one starts.
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
    words = str(error).strip().splitlines() or [type(error).__name__]
    return words[0][:120]


def _serve(pipe: Connection, way: Way, size: Size) -> None:
    """Paint what comes until it is the end, or say in a line why it can't be."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started it
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
    """That this process had at most."""
    status = Path("/proc/self/status")
    if status.exists():  # where getrusage tells of the process that started this one, too
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
