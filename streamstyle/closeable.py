"""A base class for objects that have a `close` method."""

from types import TracebackType
from typing import Self


class Closing:
    """An object that closes itself at the end of its `with` block. Subclasses define `close`."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
