"""The warping error of a video: how much it flickers."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.data.optical_flow import motion_between
from streamstyle.frame import Image
from streamstyle.image_ops import load_opencv, resized
from streamstyle.sources import Clip, open_video

HEIGHT = 272
"""Pixels at which clips are painted and compared, unless told."""


@dataclass(frozen=True)
class Motion:
    """From one frame to the next."""

    origins: NDArray[np.float32]
    """(H, W, 2): the x and y that each pixel had in the frame before."""
    seen: NDArray[np.bool_]
    """(H, W): it was in sight there."""


def read_frames(clip: Path, seconds: int, height: int = HEIGHT) -> list[Image]:
    """The beginning of a clip, scaled to `height`, its width a multiple of 8."""
    return list(_frames(clip, seconds, height))


def motions_of(frames: list[Image]) -> list[Motion]:
    """From each frame to the next."""
    return [Motion(*motion_between(before, now)) for before, now in pairwise(frames)]


def warping_error(video: list[Image], motions: list[Motion]) -> float:
    """Lai et al. (Learning Blind Video Temporal Consistency, 2018): each frame against the one
    before it, moved by the optical flow of the input, where that flow holds. Mean squared
    difference of colors 0..1.
    """
    cv2 = load_opencv()
    errors = []
    for before, now, motion in zip(video[:-1], video[1:], motions, strict=True):
        if motion.seen.any():
            moved = cv2.remap(before, motion.origins, None, cv2.INTER_LINEAR)
            difference = (now.astype(np.float32) - moved)[motion.seen] / 255
            errors.append(float(np.mean(difference**2)))
    return float(np.mean(errors))


def _frames(clip: Path, seconds: int, height: int) -> Iterator[Image]:
    with open_video(str(clip), Clip(duration_seconds=Fraction(seconds))) as source:
        for frame in source:
            width = round(frame.width * height / frame.height / 8) * 8
            yield resized(frame.image, width, height)
