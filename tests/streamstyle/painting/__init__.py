"""From a frame to a painted frame."""
