"""What the program tells a user in one sentence."""

import av


class UserError(Exception):
    """Something the user can put right; the command line prints it and exits with 2."""


def reason(error: Exception) -> str:
    """The words of FFmpeg or the system, without number and path, to end a sentence with."""
    if isinstance(error, av.ProtocolNotFoundError):  # "protocol not found" says nothing to do
        return "the FFmpeg inside PyAV was built without this protocol"
    text = str(getattr(error, "strerror", None) or error)
    return text[:1].lower() + text[1:]
