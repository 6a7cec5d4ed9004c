"""The error that engines raise, with one sentence for the user."""


class EngineError(Exception):
    """A model, backend, device or precision can't be used; the message says what to do."""
