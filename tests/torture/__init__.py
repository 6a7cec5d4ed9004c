"""Every container, codec and pixel format that FFmpeg writes, painted with strength 0.

`python -m tests.torture` runs all of it; `test_torture.py` a selection.
"""
