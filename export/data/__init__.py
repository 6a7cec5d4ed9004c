"""What nets learn from."""
