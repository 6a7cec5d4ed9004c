"""Damaged and hostile input for every command that reads files.

`python -m tests.fuzzing` tries thousands of variants; `test_fuzzing.py` a hundred.
"""
