"""Tests, with real codecs and real engines."""
