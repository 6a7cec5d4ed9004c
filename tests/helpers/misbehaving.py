"""Factories for `benchmarks.ways.Way`: some paint as expected, most misbehave."""

import os
import sys
import time
from pathlib import Path

import numpy as np

from engines import Frames
from streamstyle.cli.bench import Paint, Size


def black(_size: Size) -> Paint:
    return np.zeros_like


def white(_size: Size) -> Paint:
    return lambda frames: np.full_like(frames, 255)


def raises(_size: Size) -> Paint:
    raise MemoryError("no room\nfor two lines")


def dies(_size: Size) -> Paint:
    os._exit(7)


def raises_later(_size: Size) -> Paint:
    painted = []

    def paint(frames: Frames) -> Frames:
        painted.append(frames)
        if len(painted) > 4:
            raise MemoryError
        return np.zeros_like(frames)

    return paint


def has_no_torch(_size: Size) -> Paint:
    assert "torch" not in sys.modules
    return np.zeros_like


def is_late(path: Path, _size: Size) -> Paint:
    time.sleep(8)
    path.touch()
    return np.zeros_like
