"""The age of what is shown over time, with and without another program at work:
python -m benchmarks.latency --minutes 1 --plot latency.png

A moving pattern of 640x480 and 30 frames per second is played as a camera. In the middle third,
another process takes one core.
"""

import argparse
import multiprocessing
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from streamstyle import machine
from streamstyle.live.controls import Controls
from streamstyle.live.session import LiveSession, Promise
from streamstyle.sources import Source
from streamstyle.sources.paced import PacedSource
from streamstyle.sources.video import VideoSource
from streamstyle.styles import DEFAULT_STYLE
from streamstyle.timing import now_s

PATTERN = "testsrc2=size=640x480:rate=30"
WARM_UP_S = 5.0
"""Not counted: the engine's sizes are compiled meanwhile."""

REPORT_S = 10.0


def main() -> None:
    """Print a Markdown table, a row every ten seconds, and draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--max-latency-ms", type=float, default=120.0)
    parser.add_argument("--load", action="store_true", help="take a core in the middle third")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    options = parser.parse_args()
    print(f"{machine.cpu()}\n{machine.packages()}\n{options.style}\n")
    promise = Promise(fps=30, max_latency_ms=options.max_latency_ms)
    seconds = options.minutes * 60
    load = multiprocessing.Process(target=_burn, daemon=True)
    samples: list[tuple[float, float, int]] = []
    with LiveSession(_camera, Controls(style=options.style), promise) as session:
        started_at_s = now_s() + WARM_UP_S
        print("| from, s | age p50, ms | p95, ms | fps out | network's width |")
        print("|---|---|---|---|---|")
        reported_s = 0.0
        while (at_s := now_s() - started_at_s) < seconds:
            if options.load and load.pid is None and at_s > seconds / 3:
                load.start()
            if load.is_alive() and at_s > 2 * seconds / 3:
                load.kill()
            frame = session.wait(0.1)
            if frame is None:
                continue
            session.was_shown(frame)
            if at_s > 0:
                age_ms = (now_s() - frame.captured_at_s) * 1000
                samples.append((at_s, age_ms, session.status().size[0]))
            if at_s > reported_s + REPORT_S:
                _report(samples, reported_s, REPORT_S)
                reported_s += REPORT_S
        status = session.status()
    ages = [age_ms for _, age_ms, _ in samples]
    p50, p95, p99 = np.percentile(ages, (50, 95, 99))
    print(
        f"\nin all: age p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f} ms, "
        f"{len(samples) / seconds:.1f} fps, {status.dropped} dropped, {status.engine}"
    )
    if options.plot is not None:
        _plot(samples, seconds, options.max_latency_ms, options.plot)


def _report(samples: list[tuple[float, float, int]], from_s: float, seconds: float) -> None:
    part = [sample for sample in samples if from_s <= sample[0] < from_s + seconds]
    p50, p95 = np.percentile([age_ms for _, age_ms, _ in part], (50, 95))
    print(
        f"| {from_s:.0f} | {p50:.0f} | {p95:.0f} | {len(part) / seconds:.1f} | {part[-1][2]} |",
        flush=True,
    )


def _camera() -> Source:
    def opener() -> Source:
        return VideoSource(
            f"{PATTERN}[out0]", None, Fraction(3600), container_format="lavfi", name="camera"
        )

    return PacedSource(opener, loop=True)


def _burn() -> None:
    while True:
        pass


def _plot(
    samples: list[tuple[float, float, int]], seconds: float, limit_ms: float, target: Path
) -> None:
    """Ages as dots, the size as a line, the limit in red."""
    width, height, top = 1000, 400, 2 * limit_ms
    image = Pillow.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)

    def at(at_s: float, share: float) -> tuple[float, float]:
        return at_s / seconds * width, height * (1 - min(1.0, share))

    draw.line([at(0, limit_ms / top), at(seconds, limit_ms / top)], fill="red")
    draw.line([at(at_s, size / 640) for at_s, _, size in samples], fill="lightgray", width=3)
    for at_s, age_ms, _ in samples:
        x, y = at(at_s, age_ms / top)
        draw.ellipse([x - 1, y - 1, x + 1, y + 1], fill="navy")
    draw.text((8, 8), f"age of the shown frame, 0 to {top:.0f} ms; gray: the network's width")
    image.save(target)


if __name__ == "__main__":
    main()
