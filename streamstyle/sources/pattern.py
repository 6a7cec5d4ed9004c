"""Moving pictures computed by FFmpeg, with a chord: a source that needs no file."""

from dataclasses import replace
from fractions import Fraction

from streamstyle.errors import UserError
from streamstyle.sources.base import Clip
from streamstyle.sources.video import VideoSource

PREFIX = "pattern:"
"""Prefix of a pattern's name in a location."""

DURATION_S = Fraction(10)
"""Length of a pattern in seconds if none is asked for."""

_RATE = 25
_SIZE = "640x360"

PATTERNS = {
    "mandelbrot": (
        f"mandelbrot=size={_SIZE}:rate={_RATE}:maxiter=800:end_pts=400"
        ":start_scale=0.08:end_scale=0.0002:start_x=-0.743643887037158:start_y=-0.131825904205311"
    ),
    "testsrc": f"testsrc2=size={_SIZE}:rate={_RATE}",
}
"""FFmpeg filter graph of each pattern, by name."""

# It swells and fades every four seconds, so that audio out of sync would be noticed.
_CHORD = (
    "aevalsrc=s=48000:c=mono:exprs="
    "'0.06*(sin(440*PI*t)+sin(554.4*PI*t)+sin(659.2*PI*t))*(1-cos(PI*t/2))'"
)


class PatternSource(VideoSource):
    """One of PATTERNS with a chord; see `sources.base.Source`."""

    def __init__(self, name: str, clip: Clip = Clip()) -> None:
        if name not in PATTERNS:
            raise UserError(f"no pattern {name}; choose from {', '.join(PATTERNS)}")
        super().__init__(
            f"{PATTERNS[name]}[out0];{_CHORD}[out1]",
            replace(clip, duration_seconds=clip.duration_seconds or DURATION_S),
            container_format="lavfi",
            name=PREFIX + name,
        )
