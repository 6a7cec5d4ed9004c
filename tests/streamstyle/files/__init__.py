"""Files painted from end to end."""
