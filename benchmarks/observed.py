"""A live session under observation: every frame that it shows leaves a sample."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.live.controls import Controls
from streamstyle.live.resolution_governor import Promise
from streamstyle.live.session import LiveSession
from streamstyle.live.window import Window
from streamstyle.sources import Clip, Source
from streamstyle.sources.realtime import PacedSource
from streamstyle.sources.video import VideoSource
from streamstyle.styles import StyleSpec
from streamstyle.timing import now_s

PATTERN = "testsrc2=size=640x480:rate=30"

WARM_UP_S = 10.0
"""Seconds that do not count: the engine compiles its sizes, and the governor finds its size."""


@dataclass(frozen=True)
class Sample:
    """A frame that was shown."""

    at_s: float
    """Seconds since the warm-up."""
    age_ms: float
    """Age of the frame when it was shown."""
    width: int
    """Width at which the network painted."""
    index: int
    """Number of the frame among the frames of the source."""


class Observed(LiveSession):
    """Plays a moving pattern as a camera, for `seconds` after the warm-up.

    The pattern has 640x480 pixels and 30 frames per second.
    """

    def __init__(
        self, style: StyleSpec, promise: Promise, seconds: float, each: Callable[["Observed"], None]
    ) -> None:
        """Call `each` with the session after every frame."""
        self.samples: list[Sample] = []
        self._each = each
        self._seconds = seconds
        super().__init__(_camera, Controls(style=style, steady=0.5), promise)
        self._zero_s = now_s() + WARM_UP_S

    @property
    def elapsed_s(self) -> float:
        return now_s() - self._zero_s

    @property
    def ended(self) -> bool:
        return super().ended or self.elapsed_s > self._seconds

    def was_shown(self, frame: Frame) -> None:
        super().was_shown(frame)
        if self.elapsed_s > 0:
            age_ms = (now_s() - frame.captured_at_s) * 1000
            self.samples.append(Sample(self.elapsed_s, age_ms, self.size[0], frame.index))
            self._each(self)

    def run(self) -> str:
        """Show all frames; return where they were shown."""
        try:
            with Window(self) as window:
                window.run()
            return "shown in a window"
        except UserError:  # there is no screen
            while not self.ended:
                if (frame := self.wait(0.1)) is not None:
                    self.was_shown(frame)
            return "shown nowhere"


def longest_gap_ms(samples: list[Sample]) -> float:
    """Return the longest time between two frames that were shown one after the other."""
    gaps = [b.at_s - a.at_s for a, b in pairwise(samples)]
    return max(gaps, default=0.0) * 1000


def _camera() -> Source:
    def opener() -> Source:
        clip = Clip(duration_seconds=Fraction(36_000))
        return VideoSource(f"{PATTERN}[out0]", clip, container_format="lavfi", name="camera")

    return PacedSource(opener, loop=True)
