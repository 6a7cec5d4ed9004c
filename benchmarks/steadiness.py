"""Measure how much a painting flickers, with and without the stabilizer.

The measure is the warping error (benchmarks/warping.py). Blur lowers it too, so the table also has
the sharpness of the strokes.

Usage: python -m benchmarks steadiness CLIP...
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from benchmarks.warping import HEIGHT, Motion, motions_of, read_frames, warping_error
from streamstyle.frame import Image
from streamstyle.image_ops import load_opencv, resized
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.styles import DEFAULT_STYLE, open_engine

AMOUNTS = (0.5, 1.0)

CROP = 72
"""Side in pixels of the squares that the sheet shows, enlarged three times."""

ROWS = 3
"""Consecutive frames of each clip on the sheet."""

Videos = list[list[Image]]


def main() -> None:
    """Print a Markdown table with a row for each clip.

    A row has the warping error without the stabilizer. With the stabilizer, it has the error and
    the gradient energy relative to those without.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--seconds", type=int, default=4, help="seconds of each clip")
    parser.add_argument("--height", type=int, default=HEIGHT, help="height of the frames in pixels")
    parser.add_argument(
        "--sheet", type=Path, help="picture to write of what moves most, to look for ghosts"
    )
    options = parser.parse_args()
    amounts = [f"{what} at {amount}" for amount in AMOUNTS for what in ("error", "sharpness")]
    print(f"| clip | error, input | error, painted | {' | '.join(amounts)} |")
    print("|---" * (len(amounts) + 3) + "|")
    rows, crops = [], []
    with open_engine(options.style) as engine:
        for clip in options.clips:
            frames = read_frames(clip, options.seconds, options.height)
            painted = [np.asarray(engine.paint(frame[np.newaxis])[0]) for frame in frames]
            videos = [frames, painted, *(_steadied(frames, painted, part) for part in AMOUNTS)]
            motions = motions_of(frames)
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


def _steadied(frames: list[Image], painted: list[Image], amount: float) -> list[Image]:
    stabilizer = Stabilizer()
    return [stabilizer(*pair, amount) for pair in zip(frames, painted, strict=True)]


def _sharpness(video: list[Image], reference: list[Image]) -> float:
    """Return the gradient energy of `video` relative to `reference`'s."""
    energies = [
        sum(float(np.mean(np.diff(frame.astype(np.float32), axis=axis) ** 2)) for axis in (0, 1))
        for frames in (video, reference)
        for frame in frames
    ]
    return sum(energies[: len(video)]) / sum(energies[len(video) :])


def _crops(videos: Videos, motions: list[Motion]) -> list[Image]:
    """Return crops where motion differs most: a row for each frame, a column for each video."""
    # Begin far enough into the clip that the stabilizer has a past.
    contrasts = [_contrast(motion) for motion in motions]
    peaks = [float(contrast.max()) for contrast in contrasts]
    last = max(range(min(8, len(peaks) - 1), len(peaks)), key=peaks.__getitem__) + 1
    height, width = contrasts[0].shape
    y, x = np.unravel_index(contrasts[last - 1].argmax(), (height, width))
    top = int(np.clip(y - CROP // 2, 0, max(0, height - CROP)))
    left = int(np.clip(x - CROP // 2, 0, max(0, width - CROP)))
    place = (slice(top, top + CROP), slice(left, left + CROP))
    return [
        np.hstack([resized(video[index][place], 3 * CROP, 3 * CROP) for video in videos])
        for index in range(max(0, last - ROWS + 1), last + 1)
    ]


def _contrast(motion: Motion) -> NDArray[np.float32]:
    """Return by how many pixels motion differs around each place, (H, W)."""
    cv2 = load_opencv()
    height, width = motion.visible.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = motion.origins - np.dstack([x, y])
    around = np.ones((21, 21), np.uint8)
    differences = cv2.dilate(moved, around) - cv2.erode(moved, around)
    return np.asarray(cv2.blur(np.max(differences, axis=2), (31, 31)), np.float32)


def _line(name: str, row: list[float]) -> str:
    errors = " | ".join(f"{error:.5f}" for error in row[:2])
    return f"| {name} | {errors} | {' | '.join(f'{part:.2f}' for part in row[2:])} |"
