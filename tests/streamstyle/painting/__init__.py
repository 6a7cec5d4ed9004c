"""Tests of painting single frames."""
