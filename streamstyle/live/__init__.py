"""Live painting: a session that any front end can drive, and the window."""
