"""Hold a frame rate and a latency by choosing the size that the network works at."""

import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from engines import MIN_SIDE
from streamstyle.errors import UserError

Size = tuple[int, int]
"""(width, height) in pixels."""

SCALES = (1.0, 0.8, 0.65, 0.5, 0.4, 0.3)
"""Scales of the rungs relative to the source's sides.

Each rung has about two thirds of the pixels of the rung above.
"""

GRID = 8
"""Rung sides are multiples of this many pixels, so that no network has to pad."""

WINDOW_S = 0.5
"""Time span of the measurements that a decision uses, in seconds.

It is long enough that one slow frame decides nothing, and short enough that the size follows within
a second when the machine becomes slow.
"""

MIN_SAMPLES = 4

DOWN_TO = 0.7
"""Share of the allowed time that a smaller size should take; a tight fit would not last."""

UP_TO = 0.8
"""Maximum share of the allowed time that a larger size may be expected to take.

The gap to 1 is the hysteresis: a size that only just fits is not tried.
"""

PATIENCE_S = 2.0
"""Time for which a larger size must look possible before it is tried, in seconds."""

MAX_PATIENCE_S = 60.0

TRIAL_S = 10.0
"""Time within which giving up a larger size shows that it was a mistake, in seconds.

The next try then waits twice as long.
"""


@dataclass(frozen=True)
class Promise:
    """The frame rate and latency that the governor holds.

    Raises UserError if a value is out of range.
    """

    fps: float | None = None
    """Frames per second; None for the source's own rate, up to the session's MAX_FPS."""
    max_latency_ms: float = 120.0
    """Maximum age of a frame when it is shown, in milliseconds."""

    def __post_init__(self) -> None:
        if self.fps is not None and not 1 <= self.fps <= 240:
            raise UserError(f"a rate is from 1 to 240 frames per second, got {self.fps}")
        if not 20 <= self.max_latency_ms <= 10_000:
            raise UserError(f"a latency is from 20 to 10000 ms, got {self.max_latency_ms}")


def ladder(width: int, height: int) -> tuple[Size, ...]:
    """Return the network's sizes for a source of this size, the largest first."""
    rungs = []
    for scale in SCALES:
        rung = (_on_grid(width * scale), _on_grid(height * scale))
        if rung not in rungs:
            rungs.append(rung)
    return tuple(rungs)


def _on_grid(side: float) -> int:
    return max(2 * MIN_SIDE, round(side / GRID) * GRID)


class Governor:
    """Chooses the rung for the next frame from the times that earlier frames took.

    A rung is an index into `rungs`; 0 is the largest size. The governor begins with the smallest
    size, which is compiled and painted soonest, and then goes up at once to the largest size that
    its first measurements allow.

    It reads no clock: callers give all times, in seconds of any clock, so that tests can run
    through an hour in a moment. Any thread may call it.
    """

    def __init__(self, rungs: tuple[Size, ...], fps: float, max_latency_ms: float) -> None:
        self.rungs = rungs
        self.fps = fps
        self.max_latency_s = max_latency_ms / 1000
        self.rung = len(rungs) - 1
        self.highest = 0
        """Rung of the largest size allowed, which a user may set."""
        self._paints: deque[tuple[float, float]] = deque()
        self._ages: deque[tuple[float, float]] = deque()
        self._changed_at_s = -np.inf
        self._first_at_s: float | None = None  # first frame painted since the last change
        self._went_up = False  # in the last change
        self._possible_since_s: float | None = None
        self._patience_s = [PATIENCE_S] * len(rungs)
        self._starting = True  # until nothing larger seems possible
        self._hope: int | None = None  # the rung to go up to
        self._ready: list[int] = []
        self._lock = threading.Lock()

    @property
    def size(self) -> Size:
        return self.rungs[self.rung]

    def allow(self, highest: int) -> None:
        """Allow no size larger than the rung `highest`, from the next decision on."""
        with self._lock:
            self.highest = min(max(highest, 0), len(self.rungs) - 1)

    def painted(self, at_s: float, took_s: float, captured_at_s: float) -> None:
        """Record that a frame was painted at the present rung.

        A frame that was captured before the rung was chosen does not count: it waited for a frame
        of the previous rung.
        """
        with self._lock:
            if captured_at_s > self._changed_at_s:
                self._first_at_s = self._first_at_s or at_s
                self._paints.append((at_s, took_s))

    def shown(self, at_s: float, age_s: float) -> None:
        """Record that a frame was shown, `age_s` after its capture."""
        with self._lock:
            if at_s - age_s > self._changed_at_s:
                self._ages.append((at_s, age_s))

    def wanted(self) -> tuple[Size, ...]:
        """Return the sizes that need an engine, the most urgent first.

        They are the present size, the size to go up to, if any, and all smaller sizes.
        """
        with self._lock:
            hope = () if self._hope is None else (self._hope,)
            return tuple(
                self.rungs[rung]
                for rung in (self.rung, *hope, *range(self.rung + 1, len(self.rungs)))
            )

    def decide(self, at_s: float, ready: Collection[Size]) -> int:
        """Return the rung for the next frame.

        The rung changes only to a size whose engine is `ready`: waiting for an engine would cause
        the very hitch that the change should prevent.
        """
        with self._lock:
            self._ready = [rung for rung, size in enumerate(self.rungs) if size in ready]
            self._decide(at_s)
            return self.rung

    def _decide(self, at_s: float) -> None:
        if self.rung < self.highest:
            self._change_below(self.highest, at_s)
            return
        for samples in (self._paints, self._ages):
            while samples and samples[0][0] < at_s - WINDOW_S:
                samples.popleft()
        if min(len(self._paints), len(self._ages)) < MIN_SAMPLES and not self._is_crawling(at_s):
            return
        if not self._paints or not self._ages:
            return
        paint_s = float(np.median([took for _, took in self._paints]))
        age_s = float(np.percentile([age for _, age in self._ages], 90))
        excess = max(paint_s * self.fps, age_s / self.max_latency_s)
        if excess > 1:
            self._go_down(at_s, excess)
        else:
            self._maybe_go_up(at_s, paint_s, age_s)

    def _is_crawling(self, at_s: float) -> bool:
        """Return whether frames are so slow that WINDOW_S never holds enough of them."""
        return self._first_at_s is not None and at_s - self._first_at_s > WINDOW_S

    def _go_down(self, at_s: float, excess: float) -> None:
        if self.rung == len(self.rungs) - 1:
            return
        if self._went_up and at_s - self._changed_at_s < TRIAL_S:
            tried = self._patience_s[self.rung]
            self._patience_s[self.rung] = min(2 * tried, MAX_PATIENCE_S)
        self._starting = False
        affordable = _pixels(self.size) * DOWN_TO / excess
        target = self.rung + 1
        while target < len(self.rungs) - 1 and _pixels(self.rungs[target]) > affordable:
            target += 1
        self._went_up = False
        self._change_below(target, at_s)

    def _change_below(self, target: int, at_s: float) -> None:
        """Change to the first ready rung from `target` down, or else to the nearest one above."""
        lower = [rung for rung in self._ready if rung > self.rung]
        if lower:
            self._change(next((rung for rung in lower if rung >= target), lower[-1]), at_s)

    def _maybe_go_up(self, at_s: float, paint_s: float, age_s: float) -> None:
        limit = DOWN_TO if self._starting else UP_TO
        first = self.highest if self._starting else max(self.highest, self.rung - 1)
        possible = [
            rung
            for rung in range(first, self.rung)
            if self._expected(rung, paint_s, age_s) <= limit
        ]
        if not possible:
            self._starting = False
            self._hope = self._possible_since_s = None
            return
        self._hope = possible[0]
        if self._possible_since_s is None:
            self._possible_since_s = at_s
        patience_s = 0.0 if self._starting else self._patience_s[self._hope]
        ready = [rung for rung in possible if rung in self._ready]
        if ready and at_s - self._possible_since_s >= patience_s:
            self._went_up = not self._starting
            self._change(ready[0], at_s)

    def _expected(self, rung: int, paint_s: float, age_s: float) -> float:
        """Estimate the share of the allowed time that `rung` would take, from the present one's."""
        grown_s = paint_s * _pixels(self.rungs[rung]) / _pixels(self.size)
        # A frame waits for the previous frame, and is then painted itself: twice the difference.
        grown_age_s = age_s + 2 * (grown_s - paint_s)
        return max(grown_s * self.fps, grown_age_s / self.max_latency_s)

    def _change(self, rung: int, at_s: float) -> None:
        self.rung = rung
        self._changed_at_s = at_s
        self._first_at_s = self._possible_since_s = self._hope = None
        self._paints.clear()
        self._ages.clear()


def _pixels(size: Size) -> int:
    return size[0] * size[1]
