"""Frames per second by resolution and engine: python -m benchmarks.resolutions"""

import argparse
from contextlib import ExitStack

import numpy as np

from streamstyle import machine
from streamstyle.bench import Contestant, moving_frames, open_candidates, race
from streamstyle.paint import describe
from streamstyle.styles import CLASSIC_STYLE

RESOLUTIONS = ((256, 256), (512, 512), (640, 480), (1280, 720), (1920, 1080))


def main() -> None:
    """Print a Markdown table; in each row the engines take turns frame by frame."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", default=CLASSIC_STYLE)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each engine and size")
    options = parser.parse_args()
    print(f"{machine.cpu()}\n{machine.packages()}\n{options.style}, one frame at a time, fps\n")
    with ExitStack() as stack:
        engines = [stack.enter_context(engine) for engine in open_candidates(options.style)]
        print("| size | " + " | ".join(describe(engine) for engine in engines) + " |")
        print("|---" * (len(engines) + 1) + "|")
        for size in RESOLUTIONS:
            contestants = [Contestant(engine) for engine in engines]
            race(contestants, moving_frames(size), options.seconds)
            cells = [f"{c.fps:.1f} ({np.median(c.seconds) * 1000:.0f} ms)" for c in contestants]
            print(f"| {size[0]}x{size[1]} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
