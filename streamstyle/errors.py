"""What the program tells a user in one sentence."""


class UserError(Exception):
    """Something the user can put right; the command line prints it and exits with 2."""


def reason(error: Exception) -> str:
    """The words of FFmpeg or the system, without number and path, to end a sentence with."""
    text = str(getattr(error, "strerror", None) or error)
    return text[:1].lower() + text[1:]
