"""Media files: color, tracks, timestamps, reading and writing."""
