"""What families of nets share."""
