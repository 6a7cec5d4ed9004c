"""Code that the families of nets share."""
