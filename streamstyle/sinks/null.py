"""Frames to nowhere, for measuring."""

from streamstyle.closeable import Closing
from streamstyle.frame import Frame


class NullSink(Closing):
    """See `sinks.base.Sink`."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.frames = 0

    def write(self, frame: Frame) -> None:
        self.frames += 1

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass
