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
"""Default height, in pixels, at which clips are painted and compared."""


@dataclass(frozen=True)
class Motion:
    """Motion from one frame to the next."""

    origins: NDArray[np.float32]
    """(H, W, 2): x and y of each pixel in the frame before."""
    visible: NDArray[np.bool_]
    """(H, W): whether each pixel was visible in the frame before."""


def read_frames(clip: Path, seconds: int, height: int = HEIGHT) -> list[Image]:
    """Return the first `seconds` of a clip, scaled to `height`, with a width divisible by 8."""
    return list(_frames(clip, seconds, height))


def motions_of(frames: list[Image]) -> list[Motion]:
    """Return the motion from each frame to the next."""
    return [Motion(*motion_between(before, now)) for before, now in pairwise(frames)]


def warping_error(video: list[Image], motions: list[Motion]) -> float:
    """Return the warping error of Lai et al. (Learning Blind Video Temporal Consistency, 2018).

    Each frame is compared with the one before it, moved by the optical flow of the input, wherever
    that flow holds. The error is the mean squared difference of colors from 0 to 1.
    """
    cv2 = load_opencv()
    errors = []
    for before, now, motion in zip(video[:-1], video[1:], motions, strict=True):
        if motion.visible.any():
            moved = cv2.remap(before, motion.origins, None, cv2.INTER_LINEAR)
            difference = (now.astype(np.float32) - moved)[motion.visible] / 255
            errors.append(float(np.mean(difference**2)))
    return float(np.mean(errors))


def _frames(clip: Path, seconds: int, height: int) -> Iterator[Image]:
    with open_video(str(clip), Clip(duration_seconds=Fraction(seconds))) as source:
        for frame in source:
            width = round(frame.width * height / frame.height / 8) * 8
            yield resized(frame.image, width, height)
