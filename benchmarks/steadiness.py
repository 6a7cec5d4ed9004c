"""How much a painting flickers, with the stabiliser and without:
python -m benchmarks.steadiness CLIP...

The warping error of Lai et al. (Learning Blind Video Temporal Consistency, 2018): each painted
frame against the one before it, moved by the optical flow of the input, where that flow holds.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from streamstyle.frame import Image
from streamstyle.live.stabiliser import Stabiliser
from streamstyle.pixels import load_opencv, resized
from streamstyle.sources import Clip, open_video
from streamstyle.styles import DEFAULT_STYLE, open_engine

HEIGHT = 272
"""Pixels at which clips are painted and compared."""

OCCLUDED = 1.0
"""Pixels by which flow there and flow back may disagree before a place counts as occluded."""

AMOUNTS = (0.0, 0.5, 1.0)


def main() -> None:
    """Print a Markdown table, a row for each clip and a column for each amount of `--steady`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--seconds", type=int, default=4, help="of each clip")
    options = parser.parse_args()
    print("| clip | " + " | ".join(f"steady {amount}" for amount in AMOUNTS) + " | input |")
    print("|---" * (len(AMOUNTS) + 2) + "|")
    with open_engine(options.style) as engine:
        for clip in options.clips:
            frames = list(_frames(clip, options.seconds))
            painted = [np.asarray(engine.paint(frame[np.newaxis])[0]) for frame in frames]
            cells = []
            for amount in AMOUNTS:
                stabiliser = Stabiliser()
                steady = [stabiliser(*pair, amount) for pair in zip(frames, painted, strict=True)]
                cells.append(warping_error(frames, steady))
            cells.append(warping_error(frames, frames))
            row = " | ".join(f"{cell:.4f}" for cell in cells)
            print(f"| {clip.name} | {row} |", flush=True)


def warping_error(frames: list[Image], painted: list[Image]) -> float:
    """Mean squared difference, colors 0..1, over places that are not occluded."""
    cv2 = load_opencv()
    flow_of = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    errors = []
    for index in range(1, len(frames)):
        now, before = (cv2.cvtColor(frames[i], cv2.COLOR_RGB2GRAY) for i in (index, index - 1))
        back = flow_of.calc(now, before, None)
        there = flow_of.calc(before, now, None)
        y, x = np.mgrid[0 : now.shape[0], 0 : now.shape[1]].astype(np.float32)
        at = (x + back[..., 0], y + back[..., 1])
        returned = np.linalg.norm(back + cv2.remap(there, *at, cv2.INTER_LINEAR), axis=2)
        inside = (at[0] >= 0) & (at[0] < x.shape[1] - 1) & (at[1] >= 0) & (at[1] < x.shape[0] - 1)
        moved = cv2.remap(painted[index - 1], *at, cv2.INTER_LINEAR)
        seen = inside & (returned < OCCLUDED)
        if seen.any():
            difference = (painted[index].astype(float) - moved)[seen] / 255
            errors.append(float(np.mean(difference**2)))
    return float(np.mean(errors))


def _frames(clip: Path, seconds: int) -> Iterator[Image]:
    with open_video(str(clip), Clip(duration_seconds=Fraction(seconds))) as source:
        for frame in source:
            width = round(frame.width * HEIGHT / frame.height / 8) * 8
            yield resized(frame.image, width, HEIGHT)


if __name__ == "__main__":
    main()
