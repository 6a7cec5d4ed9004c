"""The error that engines raise, with one sentence for the user."""

from collections.abc import Iterator
from contextlib import contextmanager


class EngineError(Exception):
    """A model, backend, device or precision can't be used; the message says what to do."""


@contextmanager
def library_errors(failed: str, kinds: tuple[type[Exception], ...]) -> Iterator[None]:
    """Raise what a library raises inside, of these kinds, as an EngineError of one sentence.

    `failed` says what could not be done. The library's last line is the reason; the lines before
    it name places in its source.
    """
    try:
        yield
    except kinds as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise EngineError(f"{failed}: {lines[-1] if lines else type(error).__name__}") from error
