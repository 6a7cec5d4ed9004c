"""The command line, `streamstyle`."""
