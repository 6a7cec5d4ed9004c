"""A live session that is watched: every frame that it shows leaves a sample."""

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
from streamstyle.sources import Source
from streamstyle.sources.realtime import PacedSource
from streamstyle.sources.video import VideoSource
from streamstyle.styles import StyleSpec
from streamstyle.timing import now_s

PATTERN = "testsrc2=size=640x480:rate=30"

WARM_UP_S = 10.0
"""Not counted: the engine's sizes are compiled, and the governor finds its size."""


@dataclass(frozen=True)
class Sample:
    at_s: float
    """After the warm-up."""
    age_ms: float
    """Age of a frame when it was shown."""
    width: int
    """At which the network worked."""
    index: int
    """Number of the frame among those that came."""


class Observed(LiveSession):
    """Plays a moving pattern of 640x480 and 30 frames per second like a camera, for `seconds`
    after the warm-up.
    """

    def __init__(
        self, style: StyleSpec, promise: Promise, seconds: float, each: Callable[["Observed"], None]
    ) -> None:
        """`each` is called with the session after every frame."""
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
        """Show to the end; returns what it was shown on."""
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
    """Between two frames that were shown one after the other."""
    gaps = [b.at_s - a.at_s for a, b in pairwise(samples)]
    return max(gaps, default=0.0) * 1000


def _camera() -> Source:
    def opener() -> Source:
        return VideoSource(
            f"{PATTERN}[out0]", None, Fraction(36_000), container_format="lavfi", name="camera"
        )

    return PacedSource(opener, loop=True)
