"""What the program tells a user in one sentence."""

import av


class UserError(Exception):
    """Something the user can put right; the command line prints it and exits with 2."""


def check_share(name: str, value: float) -> None:
    """Raise UserError if this is not from 0 to 1."""
    if not 0 <= value <= 1:
        raise UserError(f"a {name} is from 0 to 1, got {value}")


def reason(error: Exception) -> str:
    """The words of FFmpeg or the system, without number and path, to end a sentence with."""
    if isinstance(error, av.ProtocolNotFoundError):  # "protocol not found" says nothing to do
        return "the FFmpeg inside PyAV was built without this protocol"
    text = str(getattr(error, "strerror", None) or error)
    return text[:1].lower() + text[1:]
