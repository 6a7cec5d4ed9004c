"""Frames for sinks, as a source gives them."""

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from streamstyle.frame import Frame
from streamstyle.media.color import Color
from streamstyle.sources import VideoFormat

FORMAT = VideoFormat(
    time_base=Fraction(1, 1000),
    frame_rate=None,
    sample_aspect_ratio=Fraction(1),
    color=Color(matrix=1, range=1, primaries=1, transfer=1, high_definition=False),
    chroma="420",
)


def recording() -> Iterator[Frame]:
    """Yield ten seconds of video at 25 frames per second."""
    for n in range(250):
        yield Frame(np.full((48, 64, 3), n, np.uint8), n, Fraction(n, 25))
