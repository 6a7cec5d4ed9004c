"""How long things take."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter as now_s

import numpy as np

__all__ = ["Latency", "Rate", "now_s"]

KEPT = 4096
"""Latest measurements kept: minutes of video, and no growth however long a run lasts."""


RATE_S = 2.0
"""What a present rate looks back on."""


class Rate:
    """How often something happens. One thread adds, any thread reads."""

    def __init__(self) -> None:
        self.count = 0
        self._first_s = self._last_s = 0.0
        self._latest_s: deque[float] = deque()
        self._lock = threading.Lock()

    def add(self, at_s: float) -> None:
        with self._lock:
            self._first_s = self._first_s if self.count else at_s
            self._last_s = at_s
            self.count += 1
            self._latest_s.append(at_s)
            self._forget(at_s)

    def present(self, at_s: float) -> float:
        """Per second, of late."""
        with self._lock:
            self._forget(at_s)
            span_s = at_s - max(self._first_s, at_s - RATE_S)
            return len(self._latest_s) / span_s if span_s > 0 else 0.0

    def mean(self) -> float:
        """Per second, from the first to the last."""
        with self._lock:
            span_s = self._last_s - self._first_s
            return (self.count - 1) / span_s if span_s > 0 else 0.0

    def _forget(self, at_s: float) -> None:
        while self._latest_s and self._latest_s[0] <= at_s - RATE_S:
            self._latest_s.popleft()


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
