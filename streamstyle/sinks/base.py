"""What every sink of frames is."""

from types import TracebackType
from typing import Protocol, Self

from streamstyle.frame import Frame


class Sink(Protocol):
    """Takes frames in their order. Opening it is all or nothing.

    What is written appears under its final name in `finish`, or, for a folder of images, one
    complete file at a time.
    """

    notes: list[str]
    """What the user should know in the end; one sentence each."""

    def write(self, frame: Frame) -> None:
        """Take one frame; its image is only read. Raises UserError where it can't be kept."""

    def finish(self) -> None:
        """All frames have come: complete what is being written."""

    def close(self) -> None:
        """Let go. Before `finish`, what was written so far stays usable, and `notes` says where.
        Harmless when repeated.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
