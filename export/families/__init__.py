"""Families of nets, a folder each: their models, trainings and engine writers."""
