"""Measure the time from the start of `streamstyle live` to the painted picture on the screen.

A clip of one color is played as a camera, and the middle of the screen is watched.

Usage: python -m benchmarks startup
"""

import argparse
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from time import sleep

import mss
import numpy as np

from streamstyle import system
from streamstyle.frame import Frame
from streamstyle.media.color import BT709
from streamstyle.sinks.video import VideoSink
from streamstyle.sources import VideoFormat
from streamstyle.styles import DEFAULT_STYLE
from streamstyle.timing import now_s

COLOR = (255, 128, 0)
NEAR = 24
"""Levels by which codec and screen may change the color; a style changes it by more."""

PATIENCE_S = 60.0


def main() -> None:
    """Print a Markdown table with a row for each start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    print(f"{system.hardware()}\n{system.packages()}\n{options.style}\n")
    print("| start | picture on the screen, s | painted, s |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "color.mp4"
        _write(clip)
        command = [sys.executable, "-m", "streamstyle", "live", str(clip), "--loop"]
        times = [_start([*command, "--style", options.style]) for _ in range(options.starts)]
    for index, (shown_s, painted_s) in enumerate(times, start=1):
        print(f"| {index} | {shown_s:.2f} | {painted_s:.2f} |")
    shown_s, painted_s = np.median(times, axis=0)
    print(f"| median | {shown_s:.2f} | {painted_s:.2f} |")


def _start(command: list[str]) -> tuple[float, float]:
    """Return the seconds until the middle of the screen shows the clip, and until another color."""
    started_s = now_s()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    shown_s = None
    try:
        with mss.MSS() as grabber:
            screen = grabber.monitors[1]
            left = screen["left"] + screen["width"] // 2
            top = screen["top"] + screen["height"] // 2
            middle = {"left": left, "top": top, "width": 1, "height": 1}
            while now_s() < started_s + PATIENCE_S:
                pixel = np.array(grabber.grab(middle).pixel(0, 0), int)
                is_clip = np.abs(pixel - COLOR).max() < NEAR
                if is_clip and shown_s is None:
                    shown_s = now_s() - started_s
                elif shown_s is not None and not is_clip:
                    return shown_s, now_s() - started_s
                sleep(0.005)
    finally:
        process.terminate()
        process.wait()
    raise SystemExit(
        "the painting did not appear; check that there is a screen and nothing covers its middle"
    )


def _write(clip: Path) -> None:
    tick = Fraction(1, 30)
    video = VideoFormat(tick, Fraction(30), sample_aspect_ratio=None, color=BT709, chroma="420")
    image = np.full((480, 640, 3), COLOR, np.uint8)
    with VideoSink(clip, video, tracks=None) as sink:
        for index in range(60):
            sink.write(Frame(image, index, index * tick))
        sink.finish()
