"""Tests of the program `streamstyle`."""
