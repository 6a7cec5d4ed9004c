"""Painting what comes."""
