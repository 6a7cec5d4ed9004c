"""Media files: color, tracks, time stamps, and how they are read and written."""
