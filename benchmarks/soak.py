"""Check whether memory, threads, files or delays grow over hours of running.

A moving pattern is painted and shown while styles change, recordings start and stop, and the
allowed size changes. Each row is a minute.

Usage: python -m benchmarks soak --minutes 15
"""

import argparse
import itertools
import tempfile
import threading
from pathlib import Path

import numpy as np
import psutil

from benchmarks.observed import Observed, longest_gap_ms
from streamstyle import system
from streamstyle.live.resolution_governor import Promise
from streamstyle.styles import DEFAULT_STYLE, parse_style

STYLE_S, RECORDING_S, QUALITY_S = 7.0, 20.0, 45.0
"""Seconds between changes of the style, the recording and the size."""


class Director:
    """Does what a user does, and records each minute what the process uses."""

    def __init__(self, folder: Path) -> None:
        self.rows: list[tuple[float, int, int, float]] = []
        """Resident memory in MiB, threads, open files, and age p95 in ms, of each minute."""
        self._folder = folder
        self._process = psutil.Process()
        self._due_s = {"style": 0.0, "record": 0.0, "quality": 0.0, "row": 60.0}
        self._takes = itertools.count(1)

    def __call__(self, session: Observed) -> None:
        at_s = session.elapsed_s
        if self._is_due("style", at_s, STYLE_S):
            session.next_style()
        if self._is_due("record", at_s, RECORDING_S):
            if session.status().recording is None:
                session.record(self._folder / f"{next(self._takes)}.mp4")
            else:
                session.stop_recording()
        if self._is_due("quality", at_s, QUALITY_S):
            session.quality(-1 if int(at_s / QUALITY_S) % 2 else 1)
        if self._is_due("row", at_s, 60.0):
            self._row(session)

    def _is_due(self, what: str, at_s: float, period_s: float) -> bool:
        due = at_s >= self._due_s[what]
        if due:
            self._due_s[what] += period_s
        return due

    def _row(self, session: Observed) -> None:
        samples, session.samples = session.samples, []
        p50, p95 = np.percentile([sample.age_ms for sample in samples], (50, 95))
        memory_mib = self._process.memory_info().rss / 2**20
        files = self._process.num_fds() if hasattr(self._process, "num_fds") else 0
        self.rows.append((memory_mib, threading.active_count(), files, float(p95)))
        print(
            f"| {len(self.rows)} | {memory_mib:.0f} | {threading.active_count()} | "
            f"{self._process.num_threads()} | {files} | {p50:.0f} | {p95:.0f} | "
            f"{len(samples) / 60:.1f} | {longest_gap_ms(samples):.0f} |",
            flush=True,
        )


def main() -> None:
    """Print a Markdown table with a row for each minute, and what grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", default=DEFAULT_STYLE)
    parser.add_argument("--minutes", type=int, default=15)
    options = parser.parse_args()
    print(f"{system.hardware()}\n{system.packages()}\n")
    print(
        "| minute | memory, MiB | Python's threads | all threads | open files "
        "| age p50, ms | p95 | fps | longest gap, ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        director = Director(Path(folder))
        seconds = options.minutes * 60 + 1
        with Observed(parse_style(options.style), Promise(), seconds, director) as session:
            where = session.run()
        takes = list(Path(folder).glob("*.mp4"))
        left = [path.name for path in Path(folder).iterdir() if path not in takes]
    rows = director.rows
    third = max(1, len(rows) // 3)
    names = ("memory, MiB", "Python's threads", "open files", "age p95, ms")
    for name, values in zip(names, zip(*rows, strict=True), strict=True):
        first, last = np.median(values[:third]), np.median(values[-third:])
        print(f"{name}: {first:.0f} in the first third, {last:.0f} in the last")
    print(f"{len(takes)} recordings, {len(left)} incomplete; {where}")
