"""Measure the age of the shown frames over time, with and without another program at work.

A moving pattern of 640x480 and 30 frames per second is played as a camera and shown in the window.
With --load, another process takes one core in the middle third.

Usage: python -m benchmarks latency --minutes 1 --load --switch 5 --plot latency.png
"""

import argparse
import multiprocessing
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from benchmarks.observed import Observed, Sample, longest_gap_ms
from streamstyle import system
from streamstyle.live.resolution_governor import Promise
from streamstyle.styles import DEFAULT_STYLE, parse_style

ROWS = 12

SETTLED_S = 3.0
"""Seconds over which 95 % of the shown frames must be under the limit for it to count as met."""


class Director:
    """Takes and frees a core, and changes the style, at set times."""

    def __init__(self, seconds: float, load: bool, switch_s: float | None) -> None:
        self.burden = multiprocessing.Process(target=_burn, daemon=True)
        self._taken_s = (seconds / 3, 2 * seconds / 3) if load else None
        self._switch_s = switch_s
        self._switched_s = 0.0

    def __call__(self, session: Observed) -> None:
        at_s = session.elapsed_s
        if self._taken_s is not None:
            if self.burden.pid is None and at_s > self._taken_s[0]:
                self.burden.start()
            elif self.burden.is_alive() and at_s > self._taken_s[1]:
                self.burden.kill()
        if self._switch_s is not None and at_s > self._switched_s + self._switch_s:
            self._switched_s = at_s
            session.next_style()


def main() -> None:
    """Print a Markdown table over time, and draw the plot if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--max-latency-ms", type=float, default=120.0)
    parser.add_argument("--load", action="store_true", help="take a core in the middle third")
    parser.add_argument(
        "--switch", type=float, metavar="SECONDS", help="time between changes of style"
    )
    parser.add_argument("--plot", type=Path, help="PNG file to write")
    options = parser.parse_args()
    seconds = options.minutes * 60
    limit_ms = options.max_latency_ms
    director = Director(seconds, options.load, options.switch)
    promise = Promise(max_latency_ms=limit_ms)
    with Observed(parse_style(options.style), promise, seconds, director) as session:
        where = session.run()
        status, samples = session.status(), session.samples
    print(f"{system.hardware()}\n{system.packages()}\n{options.style}, {status.engine}, {where}\n")
    print("| from, s | age p50, ms | p95 | p99 | fps | longest gap, ms | network's width |")
    print("|---|---|---|---|---|---|---|")
    for row in range(ROWS):
        _print_row(samples, row * seconds / ROWS, seconds / ROWS)
    _print_row(samples, 0, seconds)
    third = seconds / 3
    print(
        f"\nage p95, first third: {_p95(samples, 0, third):.0f} ms, last third: "
        f"{_p95(samples, 2 * third, seconds):.0f} ms"
    )
    if options.load:
        back_s = back_after_s(samples, third, 2 * third, limit_ms)
        print(
            f"with a core taken: back under {limit_ms:.0f} ms after {back_s:.1f} s, p95 from then "
            f"until it is free again: {_p95(samples, third + back_s, 2 * third):.0f} ms"
        )
    if options.plot is not None:
        _plot(samples, seconds, limit_ms, options.plot)


def back_after_s(samples: list[Sample], from_s: float, to_s: float, limit_ms: float) -> float:
    """Return how many seconds after `from_s` the delay is first under the limit for SETTLED_S.

    Infinite if it is not before `to_s`.
    """
    for start_s in np.arange(from_s, to_s - SETTLED_S, 0.1):
        if _p95(samples, start_s, start_s + SETTLED_S) <= limit_ms:
            return float(start_s - from_s)
    return np.inf


def _print_row(samples: list[Sample], from_s: float, seconds: float) -> None:
    part = _between(samples, from_s, from_s + seconds)
    if not part:
        print(f"| {from_s:.0f} | nothing was shown |")
        return
    p50, p95, p99 = np.percentile([sample.age_ms for sample in part], (50, 95, 99))
    print(
        f"| {from_s:.0f} | {p50:.0f} | {p95:.0f} | {p99:.0f} | {len(part) / seconds:.1f} | "
        f"{longest_gap_ms(part):.0f} | {min(s.width for s in part)} to "
        f"{max(s.width for s in part)} |"
    )


def _between(samples: list[Sample], from_s: float, to_s: float) -> list[Sample]:
    return [sample for sample in samples if from_s <= sample.at_s < to_s]


def _p95(samples: list[Sample], from_s: float, to_s: float) -> float:
    ages = [sample.age_ms for sample in _between(samples, from_s, to_s)]
    return float(np.percentile(ages, 95)) if ages else np.inf


def _burn() -> None:
    while True:
        pass


def _plot(samples: list[Sample], seconds: float, limit_ms: float, target: Path) -> None:
    """Draw ages as dots, the network's width as a line, and the limit in red."""
    width, height, top = 1000, 400, 2 * limit_ms
    image = Pillow.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)

    def at(at_s: float, share: float) -> tuple[float, float]:
        return at_s / seconds * width, height * (1 - min(1.0, share))

    draw.line([at(0, limit_ms / top), at(seconds, limit_ms / top)], fill="red")
    draw.line([at(s.at_s, s.width / 640) for s in samples], fill="lightgray", width=3)
    for sample in samples:
        x, y = at(sample.at_s, sample.age_ms / top)
        draw.ellipse([x - 1, y - 1, x + 1, y + 1], fill="navy")
    draw.text(
        (8, 8),
        f"age of the shown frame, 0 to {top:.0f} ms, over {seconds:.0f} s; "
        "gray: the network's width, 0 to 640",
        fill="black",
    )
    image.save(target)
