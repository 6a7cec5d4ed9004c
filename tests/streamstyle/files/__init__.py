"""Tests that paint files from end to end."""
