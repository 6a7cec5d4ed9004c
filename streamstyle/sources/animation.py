"""Animated WebP as a video: FFmpeg reads nothing of it."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import numpy as np
from PIL import WebPImagePlugin

from engines.pictures import open_picture, problem_of
from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame
from streamstyle.media.color import Color
from streamstyle.sources.base import Clip, SourceInfo, VideoFormat

ANIMATED = ("AVIF", "GIF", "PNG", "WEBP")
"""Formats whose pictures after the first are frames, and not pages."""

_TICK = Fraction(1, 1000)

_SHORTEST_MS, _USUAL_MS = 11, 100
"""A frame of less than the shortest duration is shown for the usual one, as in browsers."""


def animated_format(path: Path) -> str | None:
    """Return Pillow's name of the format if a file holds an animated picture, else None."""
    if problem_of(path) is not None:
        return None
    try:
        with open_picture(path) as picture:
            animated = picture.format in ANIMATED and getattr(picture, "is_animated", False)
            return picture.format if animated else None
    except Exception:  # any type: Pillow does not check for all damage
        return None


class AnimationSource(Closing):
    """The frames of an animated WebP; see `sources.base.Source`."""

    tracks = None

    def __init__(self, path: Path, clip: Clip = Clip()) -> None:
        """Open an animated picture and decode its first frame.

        Raises UserError if it can't be read or has no frame in the part that `clip` names.
        """
        self.notes: list[str] = []
        self._name = path.name
        self._start = clip.start_seconds or Fraction(0)
        self._end = None if clip.duration_seconds is None else self._start + clip.duration_seconds
        self._transparent = False
        try:
            self._file = WebPImagePlugin.WebPImageFile(path)
        except Exception as error:  # any type: Pillow does not check for all damage
            raise UserError(f"cannot read {path}: {reason(error)}") from error
        frames = self._decode()
        first = next(frames, None)
        if first is None:
            self.close()
            nothing = f"no picture in {self._name} can be decoded in the time asked for"
            raise UserError("; ".join([nothing, *self.notes]))
        self._frames = chain([first], frames)
        color = Color.of(av.VideoFrame(first.width, first.height, "rgb24"))
        self.info = SourceInfo(
            name=self._name,
            frames=self._file.n_frames if clip == Clip() else None,
            width=first.width,
            height=first.height,
            video=VideoFormat(_TICK, None, None, color, "420"),
        )

    def __iter__(self) -> Iterator[Frame]:
        yield from self._frames
        if self._transparent:
            self.notes.append(f"the transparency of {self._name} is not kept")

    def close(self) -> None:
        self._file.close()

    def _decode(self) -> Iterator[Frame]:
        """Yield the frames of the part."""
        pts_seconds = Fraction(0)
        index = 0
        for number in range(self._file.n_frames):
            try:
                self._file.seek(number)
                picture = np.asarray(self._file.convert("RGBA"))
            except Exception as error:  # any type: Pillow does not check for all damage
                self.notes.append(f"{self._name} could not be read to its end: {reason(error)}")
                return
            shown_ms = self._file.info["duration"]
            duration = (shown_ms if shown_ms >= _SHORTEST_MS else _USUAL_MS) * _TICK
            if self._end is not None and pts_seconds >= self._end:
                return
            if pts_seconds >= self._start:
                self._transparent = self._transparent or bool((picture[..., 3] < 255).any())
                image = np.ascontiguousarray(picture[..., :3])
                yield Frame(image, index, pts_seconds - self._start, duration)
                index += 1
            pts_seconds += duration
