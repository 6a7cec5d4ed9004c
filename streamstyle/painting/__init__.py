"""Painting: from a frame to a painted frame."""
