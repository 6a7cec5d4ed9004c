"""Errors that the program reports to the user in one sentence."""

import av


class UserError(Exception):
    """An error that the user can correct; the command line prints it and exits with 2."""


def check_share(name: str, value: float) -> None:
    """Raise UserError unless `value` is from 0 to 1."""
    if not 0 <= value <= 1:
        raise UserError(f"a {name} must be from 0 to 1, got {value}")


def reason(error: Exception) -> str:
    """Return the words of FFmpeg or the system for an error, to end a sentence with.

    The error number and the path are left out.
    """
    if isinstance(error, av.ProtocolNotFoundError):  # "protocol not found" helps nobody
        return "the FFmpeg inside PyAV was built without this protocol"
    text = str(getattr(error, "strerror", None) or error)
    return text[:1].lower() + text[1:]
