"""Check the names of output files, and rename files when they are complete.

A symbolic link is followed: the file that it leads to is written, and the link stays.
"""

import os
from pathlib import Path

from streamstyle.errors import UserError


def check_target(target: Path, overwrite: bool, parent_exists: bool = True) -> None:
    """Raise UserError if no file may or can be written under this name.

    With `parent_exists` False, the folder is made later and is not checked.
    """
    if target.is_dir():
        raise UserError(f"{target} is a folder; give the name of a file to write")
    if target.exists() and not overwrite:
        raise UserError(f"{target} exists already; add --overwrite to replace it")
    folder = followed(target).parent
    if parent_exists and not folder.is_dir():
        raise UserError(f"the folder {folder} does not exist; make it first")


def check_not_input(target: Path, *inputs: str) -> None:
    """Raise UserError if `target` is one of the inputs, each a path or an address."""
    for location in inputs:
        path = Path(location.removeprefix("file:") if "://" in location else location)
        if target.exists() and path.exists() and target.samefile(path):
            raise UserError(f"{target} is the input itself; give another name for the painted file")


def partial_name(target: Path) -> Path:
    """Return an unused name beside `target`, with its suffix, for the incomplete file.

    It is beside the file that a link leads to, so that renaming it stays within one disk.
    """
    folder = followed(target).parent
    count = 1
    while True:
        number = "" if count == 1 else f"-{count}"
        candidate = folder / f"{target.stem}.partial{number}{target.suffix}"
        if not candidate.exists():
            return candidate
        count += 1


def appear(partial: Path, target: Path, overwrite: bool) -> None:
    """Give a complete file its final name. Raises UserError if that name is taken meanwhile."""
    if target.exists() and not overwrite:
        raise UserError(
            f"{target} was written by another program meanwhile; the painted file is {partial}"
        )
    partial.replace(followed(target))


def followed(target: Path) -> Path:
    """Return the file that a symbolic link leads to; any other path is returned as it is."""
    return Path(os.path.realpath(target)) if target.is_symlink() else target
