"""Pipes: inputs that are read once, and outputs that take what comes, in one go."""

from pathlib import Path

STANDARD = "-"
"""Location of standard input, and of standard output. A file of this name is ./-"""


def is_pipe(location: str | Path) -> bool:
    """Return whether a location is standard input or output, or a named pipe."""
    return location == STANDARD or ("://" not in str(location) and Path(location).is_fifo())


def url_of(location: str | Path) -> str:
    """Return what FFmpeg opens for standard input or output, or for a path."""
    # Without "file:", FFmpeg takes the text before a colon for a protocol.
    return "fd:" if location == STANDARD else f"file:{location}"
