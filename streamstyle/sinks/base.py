"""The interface of every sink of frames."""

from types import TracebackType
from typing import Protocol, Self

from streamstyle.frame import Frame


class Sink(Protocol):
    """Takes frames in order. A sink that fails to open leaves nothing behind.

    The output appears under its final name in `finish`. In a folder of images, each file appears
    when it is complete.
    """

    notes: list[str]
    """Notes for the user, complete at the end; one sentence each."""

    def write(self, frame: Frame) -> None:
        """Write one frame without changing its image. Raises UserError if it can't be written."""

    def finish(self) -> None:
        """Complete the output after the last frame."""

    def close(self) -> None:
        """Close the output. A second call does nothing.

        Before `finish`, the part written so far stays usable, and `notes` says where it is.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...
