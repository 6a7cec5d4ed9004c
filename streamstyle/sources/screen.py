"""Capture the screen or a part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from time import sleep

import numpy as np

from streamstyle.closeable import Closing
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.sources.base import SourceInfo
from streamstyle.timing import now_s

PREFIX = "screen"
"""Prefix of the screen's location: screen, or screen:LEFT,TOP,WIDTHxHEIGHT."""


class ScreenSource(Closing):
    """Endless frames of the screen; see `sources.base.Source`."""

    def __init__(self, region: str, fps: float) -> None:
        """Capture `region`, LEFT,TOP,WIDTHxHEIGHT in pixels, or the first screen if it is empty.

        Raises UserError if the region is malformed or the screen cannot be read.
        """
        import mss

        self.notes: list[str] = []
        self._period_s = 1 / fps
        area = _area(region) if region else None
        try:
            self._grabber = mss.MSS()
            self._area = area or dict(self._grabber.monitors[1])
            self._grabber.grab(self._area)  # raises for a part outside the screens
        except mss.ScreenShotError as error:
            raise UserError(f"the screen cannot be read: {error}") from error
        self.info = SourceInfo(
            name=f"{PREFIX}:{region}" if region else PREFIX,
            frames=None,
            width=self._area["width"],
            height=self._area["height"],
            video=None,
        )

    def __iter__(self) -> Iterator[Frame]:
        started_at_s = now_s()
        index = 0
        while True:
            sleep(max(0.0, started_at_s + index * self._period_s - now_s()))
            captured_at_s = now_s()
            grabbed = self._grabber.grab(self._area)
            pixels = np.frombuffer(grabbed.rgb, np.uint8)
            yield Frame(
                image=pixels.reshape(grabbed.height, grabbed.width, 3),
                index=index,
                pts_seconds=Fraction(captured_at_s - started_at_s).limit_denominator(1_000_000),
                captured_at_s=captured_at_s,
            )
            index += 1

    def close(self) -> None:
        self._grabber.close()


def _area(region: str) -> dict[str, int]:
    match = re.fullmatch(r"(-?\d+),(-?\d+),(\d+)x(\d+)", region)
    if match is None:
        raise UserError(f"give a part of the screen as LEFT,TOP,WIDTHxHEIGHT, got {region}")
    left, top, width, height = map(int, match.groups())
    return {"left": left, "top": top, "width": width, "height": height}
