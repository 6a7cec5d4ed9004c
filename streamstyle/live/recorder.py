"""Sinks beside the window, each on a thread of its own, so that none can hold up another."""

import threading
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

from streamstyle.channel import Cancelled, Channel, Policy
from streamstyle.frame import Frame
from streamstyle.sinks import Sink
from streamstyle.system import give_back_memory
from streamstyle.timing import now_s

TICK = Fraction(1, 90_000)
"""Unit of the timestamps that sinks get, in seconds."""

DEPTH = 32
"""Frames that may wait: a second of a disk or an encoder being busy."""

STUCK_S = 5.0
"""A sink that takes this long for one frame is cut off."""

GOODBYE_S = 5.0
"""How long a sink may take to finish its file when the session ends."""


class Outlet:
    """Feeds one sink. A sink that fails, or takes nothing for too long, is cut off."""

    def __init__(self, name: str, sink: Sink) -> None:
        self.name = name
        self.problem: str | None = None
        """Why it was cut off, in a sentence."""
        self.finished = False
        self._sink = sink
        self._frames: Channel[Frame] = Channel(DEPTH, Policy.NEWEST)
        self._writing_since_s: float | None = None
        self._zero_s: float | None = None
        self._last_tick = -1
        self._thread = threading.Thread(target=self._work, name=f"streamstyle-{name}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        return self.problem is None and not self.finished

    @property
    def notes(self) -> list[str]:
        """What there is to say at its end."""
        dropped = self._frames.dropped
        lack = f"{self.name} lacks {dropped} frames, for which it was too slow"
        problem = [] if self.problem is None else [self.problem]
        return [*self._sink.notes, *([lack] if dropped else []), *problem]

    def put(self, frame: Frame) -> None:
        """Give it a frame; never waits. Its time counts from the first one."""
        since_s = self._writing_since_s
        if since_s is not None and now_s() - since_s > STUCK_S and self.problem is None:
            self.problem = f"{self.name} was cut off: it took nothing for {STUCK_S:.0f} s"
            self._frames.cancel()
        if not self.running:
            return
        if self._zero_s is None:
            self._zero_s = frame.captured_at_s
        tick = round((frame.captured_at_s - self._zero_s) / TICK)
        if tick <= self._last_tick:
            return  # two frames of one moment: no file could hold them
        self._last_tick = tick
        with suppress(Cancelled):  # it may fail this moment
            self._frames.put(replace(frame, pts_seconds=tick * TICK, duration_seconds=None))

    def finish(self) -> None:
        """No more frames: what is being written will be completed in the background."""
        self._frames.close()

    def join(self) -> None:
        """Wait for the end, but not for ever."""
        self._frames.close()
        self._thread.join(GOODBYE_S)
        if self._thread.is_alive() and self.problem is None:
            self.problem = f"{self.name} did not finish within {GOODBYE_S:.0f} s"

    def _work(self) -> None:
        try:
            for frame in self._frames:
                self._writing_since_s = now_s()
                self._sink.write(frame)
                self._writing_since_s = None
            self._sink.finish()
            self.finished = True
        except Cancelled:
            pass
        except Exception as error:  # whatever it is, the picture goes on
            self.problem = f"{self.name} was cut off: {error}"
        finally:
            self._frames.cancel()
            self._sink.close()
            give_back_memory()
