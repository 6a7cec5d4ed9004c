"""Open the source that a location names."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from streamstyle.errors import UserError
from streamstyle.media.container import is_segmented
from streamstyle.pipes import STANDARD, is_pipe
from streamstyle.sources.animation import AnimationSource, animated_format
from streamstyle.sources.base import Clip, Source
from streamstyle.sources.camera import CameraSource, find_camera
from streamstyle.sources.pattern import PREFIX as PATTERN
from streamstyle.sources.pattern import PatternSource
from streamstyle.sources.realtime import PacedSource
from streamstyle.sources.screen import PREFIX as SCREEN
from streamstyle.sources.screen import ScreenSource
from streamstyle.sources.video import VideoSource


def open_video(
    location: str, clip: Clip = Clip(), low_delay: bool = False
) -> VideoSource | AnimationSource:
    """Open a path, an address (anything with ://), - for standard input, or pattern:NAME.

    `low_delay` is for an address that is watched live: it opens sooner, frames come out sooner, and
    silence counts as its end sooner. Raises UserError if the video cannot be opened.
    """
    if location.startswith(PATTERN):
        name = location.removeprefix(PATTERN)
        return PatternSource(name, clip)
    if "://" not in location and not is_pipe(location):
        path = Path(location)
        if path.is_dir():
            raise UserError(f"{location} is a folder, not a video")
        if not path.is_file():
            what = "is neither a file nor a pipe" if path.exists() else "does not exist"
            raise UserError(f"{location} {what}")
        if animated_format(path) == "WEBP":
            return AnimationSource(path, clip)
    return _open_with_ffmpeg(location, clip, low_delay)


def open_live(
    location: str,
    size: tuple[int, int],
    fps: float,
    loop: bool,
    realtime: bool,
    clip: Clip = Clip(),
) -> tuple[Callable[[], Source], bool]:
    """Return a function that opens the source at `location`, and whether the source is endless.

    An endless source is to be opened again when it is gone. An address is opened right here, to
    find out whether it is endless.

    Args:
        location: A path, an address, - for standard input, pattern:NAME, screen,
            screen:LEFT,TOP,WIDTHxHEIGHT, or the index or a part of the name of a camera.
        size: Width and height in pixels to ask a camera for.
        fps: Frames per second to ask a camera or the screen for.
        loop: Whether a file starts again at its end.
        realtime: Whether the frames of a stream are shown at the times of their timestamps.
        clip: The part of a file or stream to take, and how to decode it.

    Raises:
        UserError: If the location does not exist or an address cannot be opened.
    """
    if location == SCREEN or location.startswith(f"{SCREEN}:"):
        return partial(ScreenSource, location.removeprefix(SCREEN).removeprefix(":"), fps), True
    if location.startswith(PATTERN):
        return partial(PacedSource, partial(open_video, location), loop=True), False
    if "://" in location or is_pipe(location):
        return _address_opener(location, clip, loop, realtime)
    if Path(location).is_file():
        return partial(PacedSource, partial(open_video, location, clip), loop), False
    if Path(location).suffix:
        try:
            find_camera(location)  # its name may have a dot in it
        except UserError:
            raise UserError(f"{location} does not exist") from None
    # Look it up each time: a camera that is plugged in again may have another index.
    return lambda: CameraSource(find_camera(location), *size, fps), True


def _address_opener(
    location: str, clip: Clip, loop: bool, realtime: bool
) -> tuple[Callable[[], Source], bool]:
    """Return what `open_live` returns, for an address or a pipe.

    Each frame of a stream is taken when it comes, whatever its timestamp says: two clocks never run
    at exactly the same speed, so the delay would grow.
    """
    opened = [_open_with_ffmpeg(location, clip, low_delay=True)]
    is_file = opened[0].stated_seconds is not None

    def opener() -> VideoSource:
        return opened.pop() if opened else _open_with_ffmpeg(location, clip, low_delay=True)

    pipe = is_pipe(location)  # it is read once
    endless = not is_file and not pipe
    if is_file or realtime or is_segmented(location):
        return partial(PacedSource, opener, loop and is_file and not pipe), endless
    return opener, endless


def _open_with_ffmpeg(location: str, clip: Clip, low_delay: bool) -> VideoSource:
    name = "standard input" if location == STANDARD else None
    if location == STANDARD and os.isatty(0):
        raise UserError("standard input is a terminal; pipe a video into it")
    return VideoSource(location, clip, name=name, low_delay=low_delay)
