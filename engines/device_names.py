"""Names of devices with a number, such as cuda:1 for the second GPU."""

from collections.abc import Collection

from engines.errors import EngineError


def kind_and_number(backend: str, device: str, numbered: Collection[str]) -> tuple[str, int]:
    """Split a device's name into kind and number: cuda:1 into cuda and 1, cuda into cuda and 0.

    Raises EngineError if the part after the colon is not a number, or if the kind is not one of
    the `numbered` kinds.
    """
    kind, colon, number = device.partition(":")
    if not colon:
        return kind, 0
    if kind not in numbered or not number.isdecimal():
        raise EngineError(
            f"{backend} has no device {device}; only {', '.join(numbered)} can have a number, such "
            "as cuda:1"
        )
    return kind, int(number)
