"""A file played at its own pace, as if it were a camera."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import sleep

from streamstyle.closeable import Closing
from streamstyle.frame import Frame
from streamstyle.sources.base import Source
from streamstyle.timing import now_s

LATE_S = 0.5
"""Behind by more than this, as after the machine has slept, the clock is set anew."""

GAP_S = 5.0
"""So long a frame is waited for after the end of the one before it; then the clock is set anew, as
timestamps may jump."""


class PacedSource(Closing):
    """Gives each frame when its time has come; see `sources.base.Source`."""

    def __init__(self, opener: Callable[[], Source], loop: bool) -> None:
        """`loop` begins again at the end, with `opener`."""
        self._opener = opener
        self._loop = loop
        self._source = opener()
        self.info = self._source.info
        self.notes = self._source.notes

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        while True:
            zero_s = None
            shown_s = 0.0
            for frame in self._source:
                due_s = float(frame.pts_seconds)
                at_s = now_s()
                if zero_s is None or at_s > zero_s + due_s + LATE_S:
                    zero_s = at_s - due_s
                zero_s = min(zero_s, at_s + shown_s + GAP_S - due_s)
                shown_s = float(frame.duration_seconds or 0)
                sleep(max(0.0, zero_s + due_s - at_s))
                yield replace(frame, index=index, captured_at_s=now_s())
                index += 1
            if not self._loop:
                return
            self._source.close()
            self._source = self._opener()
            self.notes = self._source.notes

    def close(self) -> None:
        self._source.close()
