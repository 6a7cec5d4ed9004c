"""The error that the export side reports to the user in one sentence."""


class ExportError(Exception):
    """An error that the user can fix; the command line prints it and exits with status 2."""
