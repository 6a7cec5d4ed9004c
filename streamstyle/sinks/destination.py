"""Where a video is written: into a file that appears when it is complete, or into a pipe."""

import os
from pathlib import Path
from typing import Protocol

from streamstyle.errors import UserError
from streamstyle.media.encoders import DEFAULT_CODECS
from streamstyle.pipes import STANDARD, is_pipe, url_of
from streamstyle.sinks.atomic_file import appear, check_target, partial_name

_GOES_BACK = (".mp4", ".m4v", ".mov")
"""Suffixes of containers whose index is written into their beginning when all else is there."""


class Destination(Protocol):
    """Takes one video. Its text is its name, for messages."""

    suffix: str
    """Suffix that says which container is written."""
    url: str
    """What FFmpeg opens."""
    container_format: str | None
    """FFmpeg's name of the container; None if `url` tells it."""
    can_be_read: bool
    """Whether what was written can be read back from `url`."""

    def prepare(self) -> None:
        """Raise OSError if nothing can be written; call this before FFmpeg opens `url`."""

    def give_up(self) -> None:
        """Remove what `prepare` has made; nothing was written."""

    def complete(self) -> None:
        """Let the video appear under its name."""

    def remains(self) -> list[str]:
        """Return a note that says where the incomplete video is, if it stays anywhere."""


def destination_of(target: str | Path, overwrite: bool) -> Destination:
    """Return where the video goes. Raises UserError if no video can be written there."""
    return Pipe(target) if is_pipe(target) else NewFile(Path(target), overwrite)


class NewFile:
    """A file that has another name in its folder while it is incomplete."""

    container_format: str | None = None
    can_be_read = True

    def __init__(self, target: Path, overwrite: bool) -> None:
        self.suffix = target.suffix.lower()
        if self.suffix not in DEFAULT_CODECS:
            raise UserError(
                f"cannot write {target.name}: the name of a painted video ends in "
                f"{', '.join(DEFAULT_CODECS)}"
            )
        check_target(target, overwrite)
        self._target = target
        self._overwrite = overwrite
        self._partial = partial_name(target)
        self.url = url_of(self._partial)

    def prepare(self) -> None:
        self._partial.touch()  # else its errors look like the encoder's

    def give_up(self) -> None:
        self._partial.unlink(missing_ok=True)

    def complete(self) -> None:
        appear(self._partial, self._target, self._overwrite)

    def remains(self) -> list[str]:
        return [f"the part painted so far is in {self._partial}"]

    def __str__(self) -> str:
        return str(self._target)


class Pipe:
    """Standard output or a named pipe; it gets Matroska unless its name says otherwise."""

    can_be_read = False

    def __init__(self, target: str | Path) -> None:
        self._name = "standard output" if target == STANDARD else str(target)
        if target == STANDARD and os.isatty(1):
            raise UserError(
                "standard output is a terminal; pipe the video into a program or a file"
            )
        suffix = Path(target).suffix.lower()
        if suffix in _GOES_BACK:
            raise UserError(
                f"{target} is a pipe, and {suffix} cannot be written into one; give a pipe whose "
                "name ends in .mkv or .ts"
            )
        named = suffix in DEFAULT_CODECS
        self.suffix = suffix if named else ".mkv"
        self.url = url_of(target)
        self.container_format: str | None = None if named else "matroska"

    def prepare(self) -> None:
        pass

    def give_up(self) -> None:
        pass

    def complete(self) -> None:
        pass

    def remains(self) -> list[str]:
        return []

    def __str__(self) -> str:
        return self._name
