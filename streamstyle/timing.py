"""Measure how long things take and how often they happen."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter as now_s

import numpy as np

__all__ = ["Latency", "Rate", "now_s"]

KEPT = 4096
"""Number of latest measurements kept: minutes of video, and constant memory in long runs."""


RATE_S = 2.0
"""Seconds over which the present rate is measured."""


class Rate:
    """The rate of an event. One thread adds, any thread reads."""

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
        """Return the events per second during the last RATE_S."""
        with self._lock:
            self._forget(at_s)
            span_s = at_s - max(self._first_s, at_s - RATE_S)
            return len(self._latest_s) / span_s if span_s > 0 else 0.0

    def mean(self) -> float:
        """Return the events per second from the first event to the last."""
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
        """Add the duration of the `with` block, unless it raises."""
        started_at_s = now_s()
        yield
        self.add(now_s() - started_at_s)

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latest durations in milliseconds; 0 if there are none."""
        with self._lock:
            latest = self._latest_s[: min(self.count, KEPT)]
            return float(np.percentile(latest, percent)) * 1000 if len(latest) else 0.0
