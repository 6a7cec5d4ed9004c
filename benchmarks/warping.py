"""The warping error of a video: how much it flickers."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamstyle.frame import Image
from streamstyle.pixels import load_opencv, resized
from streamstyle.sources import Clip, open_video

HEIGHT = 272
"""Pixels at which clips are painted and compared, unless told."""

OCCLUDED = 1.0
"""Pixels by which flow there and flow back may disagree before a place counts as occluded."""


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
    """By dense optical flow, DIS, from each frame to the next."""
    return [_motion(now, before) for now, before in zip(frames[1:], frames[:-1], strict=True)]


def warping_error(video: list[Image], motions: list[Motion]) -> float:
    """Lai et al. (Learning Blind Video Temporal Consistency, 2018): each frame against the one
    before it, moved by the optical flow of the input, where that flow holds. Mean squared
    difference of colors 0..1."""
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


def _motion(now: Image, before: Image) -> Motion:
    cv2 = load_opencv()
    flow_of = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey, grey_before = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (now, before))
    back, there = flow_of.calc(grey, grey_before, None), flow_of.calc(grey_before, grey, None)
    height, width = grey.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    origins = back + np.dstack([x, y])
    returned = np.linalg.norm(back + cv2.remap(there, origins, None, cv2.INTER_LINEAR), axis=2)
    inside = ((origins >= 0) & (origins < (width - 1, height - 1))).all(axis=2)
    return Motion(origins, inside & (returned < OCCLUDED))
