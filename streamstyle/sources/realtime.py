"""Play a file at its own pace, as if it were a camera."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from time import sleep

from streamstyle.closeable import Closing
from streamstyle.frame import Frame
from streamstyle.sources.base import Source
from streamstyle.timing import now_s

LATE_S = 0.5
"""Seconds of delay above which the clock is reset, as after the machine has slept."""

GAP_S = 5.0
"""Maximum seconds to wait for a frame after the end of the frame before it.

If the frame is due later, the clock is reset, because timestamps may jump.
"""


class PacedSource(Closing):
    """A source that yields each frame when it is due; see `sources.base.Source`."""

    def __init__(self, opener: Callable[[], Source], loop: bool) -> None:
        """Open the source with `opener`; with `loop`, open it again whenever it ends."""
        self._opener = opener
        self._loop = loop
        self._source = opener()
        self.info = self._source.info
        self.notes: list[str] = []

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
            self._keep_notes()
            if not self._loop:
                return
            self._source.close()
            self._source = self._opener()

    def close(self) -> None:
        self._source.close()
        self._keep_notes()

    def _keep_notes(self) -> None:
        """Keep what each pass has noted, once."""
        self.notes += [note for note in self._source.notes if note not in self.notes]
