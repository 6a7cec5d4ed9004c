"""How long things take."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter as now_s

import numpy as np

__all__ = ["Latency", "now_s"]

KEPT = 4096
"""Latest measurements kept: minutes of video, and no growth however long a run lasts."""


class Latency:
    """Durations of one stage. One thread adds, any thread reads."""

    def __init__(self) -> None:
        self.count = 0
        self._latest_s = np.zeros(KEPT)
        self._lock = threading.Lock()

    def add(self, seconds: float) -> None:
        with self._lock:
            self._latest_s[self.count % KEPT] = seconds
            self.count += 1

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Add how long the block takes, unless it raises."""
        started_at_s = now_s()
        yield
        self.add(now_s() - started_at_s)

    def percentile_ms(self, percent: float) -> float:
        """Over the latest measurements; 0 before the first."""
        with self._lock:
            latest = self._latest_s[: min(self.count, KEPT)]
            return float(np.percentile(latest, percent)) * 1000 if len(latest) else 0.0
