"""What the export side tells a user in one sentence."""


class ExportError(Exception):
    """Something the user can put right; the command line prints it and exits with 2."""
