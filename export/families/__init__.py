"""Kinds of nets, a folder each: what they are, how they learn, how they are written."""
