"""Discard frames, for measurements."""

from streamstyle.closeable import Closing
from streamstyle.frame import Frame


class NullSink(Closing):
    """Counts frames and discards them; see `sinks.base.Sink`."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.frames = 0

    def write(self, frame: Frame) -> None:
        self.frames += 1

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass
