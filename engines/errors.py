"""What an engine tells a user in one sentence."""


class EngineError(Exception):
    """A model, backend, device or precision that cannot be used, and what to do about it."""
