"""How much a painting flickers, with the stabiliser and without:
python -m benchmarks.steadiness CLIP...

The warping error of Lai et al. (Learning Blind Video Temporal Consistency, 2018): each painted
frame against the one before it, moved by the optical flow of the input, where that flow holds.
Blur lowers it too, so the strokes' sharpness stands beside it.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from streamstyle.frame import Image
from streamstyle.live.stabiliser import Stabiliser
from streamstyle.pixels import load_opencv, resized
from streamstyle.sources import Clip, open_video
from streamstyle.styles import DEFAULT_STYLE, open_engine

HEIGHT = 272
"""Pixels at which clips are painted and compared, unless told."""

OCCLUDED = 1.0
"""Pixels by which flow there and flow back may disagree before a place counts as occluded."""

AMOUNTS = (0.5, 1.0)

CROP = 72
"""Pixels of each side of what the sheet shows, three times enlarged."""

ROWS = 3
"""Frames of each clip on the sheet, one after the other."""

Videos = list[list[Image]]


@dataclass(frozen=True)
class Motion:
    """From one frame to the next."""

    origins: NDArray[np.float32]
    """(H, W, 2): the x and y that each pixel had in the frame before."""
    seen: NDArray[np.bool_]
    """(H, W): it was in sight there."""
    contrast: NDArray[np.float32]
    """(H, W): pixels by which motion differs around it."""


def main() -> None:
    """Print a Markdown table, a row for each clip: the warping error without steadying, and with
    it the error and the gradient energy as parts of those without."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--seconds", type=int, default=4, help="of each clip")
    parser.add_argument("--height", type=int, default=HEIGHT, help="in pixels")
    parser.add_argument("--sheet", type=Path, help="write what moves most, to look for ghosts")
    options = parser.parse_args()
    amounts = [f"{what} at {amount}" for amount in AMOUNTS for what in ("error", "sharpness")]
    print(f"| clip | error, input | error, painted | {' | '.join(amounts)} |")
    print("|---" * (len(amounts) + 3) + "|")
    rows, crops = [], []
    with open_engine(options.style) as engine:
        for clip in options.clips:
            frames = list(_frames(clip, options.seconds, options.height))
            painted = [np.asarray(engine.paint(frame[np.newaxis])[0]) for frame in frames]
            videos = [frames, painted, *(_steadied(frames, painted, part) for part in AMOUNTS)]
            motions = [_motion(*pair) for pair in zip(frames[1:], frames[:-1], strict=True)]
            error = warping_error(painted, motions)
            row = [warping_error(frames, motions), error]
            for steady in videos[2:]:
                row += [warping_error(steady, motions) / error, _sharpness(steady, painted)]
            rows.append(row)
            print(_line(clip.name, row), flush=True)
            crops += _crops(videos, motions)
    print(_line("mean", list(np.mean(rows, axis=0))))
    if options.sheet:
        Pillow.fromarray(np.vstack(crops)).save(options.sheet)


def warping_error(video: list[Image], motions: list[Motion]) -> float:
    """Mean squared difference, colors 0..1, over places that are not occluded."""
    cv2 = load_opencv()
    errors = []
    for before, now, motion in zip(video[:-1], video[1:], motions, strict=True):
        if motion.seen.any():
            moved = cv2.remap(before, motion.origins, None, cv2.INTER_LINEAR)
            difference = (now.astype(np.float32) - moved)[motion.seen] / 255
            errors.append(float(np.mean(difference**2)))
    return float(np.mean(errors))


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
    around = np.ones((21, 21), np.uint8)
    contrast = np.max(cv2.dilate(back, around) - cv2.erode(back, around), axis=2)
    return Motion(origins, inside & (returned < OCCLUDED), cv2.blur(contrast, (31, 31)))


def _steadied(frames: list[Image], painted: list[Image], amount: float) -> list[Image]:
    stabiliser = Stabiliser()
    return [stabiliser(*pair, amount) for pair in zip(frames, painted, strict=True)]


def _sharpness(video: list[Image], reference: list[Image]) -> float:
    """The gradient energy of `video` as a part of `reference`'s."""
    energies = [
        sum(float(np.mean(np.diff(frame.astype(np.float32), axis=axis) ** 2)) for axis in (0, 1))
        for frames in (video, reference)
        for frame in frames
    ]
    return sum(energies[: len(video)]) / sum(energies[len(video) :])


def _crops(videos: Videos, motions: list[Motion]) -> list[Image]:
    """Where motion differs most, in a row for each frame and a column for each video."""
    # Far enough into the clip that there is a past.
    peaks = [float(motion.contrast.max()) for motion in motions]
    last = max(range(min(8, len(peaks) - 1), len(peaks)), key=peaks.__getitem__) + 1
    height, width = motions[0].contrast.shape
    y, x = np.unravel_index(motions[last - 1].contrast.argmax(), (height, width))
    top = int(np.clip(y - CROP // 2, 0, max(0, height - CROP)))
    left = int(np.clip(x - CROP // 2, 0, max(0, width - CROP)))
    place = (slice(top, top + CROP), slice(left, left + CROP))
    return [
        np.hstack([resized(video[index][place], 3 * CROP, 3 * CROP) for video in videos])
        for index in range(max(0, last - ROWS + 1), last + 1)
    ]


def _line(name: str, row: list[float]) -> str:
    errors = " | ".join(f"{error:.5f}" for error in row[:2])
    return f"| {name} | {errors} | {' | '.join(f'{part:.2f}' for part in row[2:])} |"


def _frames(clip: Path, seconds: int, height: int) -> Iterator[Image]:
    with open_video(str(clip), Clip(duration_seconds=Fraction(seconds))) as source:
        for frame in source:
            width = round(frame.width * height / frame.height / 8) * 8
            yield resized(frame.image, width, height)


if __name__ == "__main__":
    main()
