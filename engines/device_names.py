"""Devices of which a machine may have several: cuda:1 is the second GPU."""

from collections.abc import Collection

from engines.errors import EngineError


def kind_and_number(backend: str, device: str, numbered: Collection[str]) -> tuple[str, int]:
    """cuda:1 as cuda and 1, cuda as cuda and 0. Raises EngineError where a number is none, or is of
    a kind that is not among the `numbered`.
    """
    kind, colon, number = device.partition(":")
    if not colon:
        return kind, 0
    if kind not in numbered or not number.isdecimal():
        raise EngineError(
            f"{backend} has no device {device}; numbers go with {', '.join(numbered)}, such as "
            "cuda:1"
        )
    return kind, int(number)
