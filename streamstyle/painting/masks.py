"""Masks, which say where to paint: from an image, a video, or a network that finds the subject."""

from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from engines import Placement
from engines.pictures import is_picture
from engines.segmentation import Segmentation
from streamstyle.closeable import Closing
from streamstyle.frame import Frame, Image
from streamstyle.image_ops import resized, scaled, softened
from streamstyle.sources import Clip, open_video
from streamstyle.sources.animation import animated_format
from streamstyle.sources.images import read_still

Part = NDArray[np.float32]
"""A mask's values, (H, W, 1): 1 inside, 0 outside, and between the two at soft edges."""

SOFTNESS = 1 / 200
"""Width over which a hard edge is softened, as a fraction of the frame's longer side."""


FEATURE = 4
"""Side, in pixels, of the squares over which masks for features are averaged."""


class Mask(Protocol):
    """A mask for the frames of one source."""

    def __call__(self, frame: Frame) -> Part:
        """Return which part of the frame is inside; call it with frames in the order of time."""

    def close(self) -> None:
        """Release the files that the mask holds open."""


def open_mask(
    location: str,
    inverted: bool = False,
    start_seconds: Fraction | None = None,
    placement: Placement = Placement(),
) -> Mask:
    """Open a mask from an image, a video, or an .onnx file that segments.

    An image or a video is white inside and black outside, and is stretched over the frame; if an
    image has transparency, its opacity is the mask. An .onnx file (see engines/segmentation.py)
    runs where `placement` says. Raises UserError or EngineError if the mask can't be opened.

    Args:
        location: Path of the mask; for a video, an address or a pattern as well.
        inverted: Whether to swap inside and outside.
        start_seconds: Where to start a mask video, if the painted clip starts there and the times
            of its frames count from that start, as with `Clip`.
        placement: Backend, device and precision of the network that segments.
    """
    path = Path(location)
    mask: Mask
    if path.suffix.lower() == ".onnx":
        mask = _SegmentedMask(path, placement)
    elif path.is_file() and is_picture(path) and animated_format(path) is None:
        mask = _ImageMask(path)
    else:
        mask = _VideoMask(location, start_seconds)
    return _Inverted(mask) if inverted else mask


class _ImageMask(Closing):
    def __init__(self, path: Path) -> None:
        still = read_still(path)
        assert still.still is not None
        alpha = still.still.alpha
        self._grey = _grey(still.image) if alpha is None else alpha
        self._part: Part | None = None

    def __call__(self, frame: Frame) -> Part:
        if self._part is None or self._part.shape[:2] != frame.image.shape[:2]:
            self._part = _part(self._grey, frame)
        return self._part

    def close(self) -> None:
        pass


class _VideoMask(Closing):
    """A mask video, from which each call takes the frame of the same time.

    Times count from the beginning of each video, or from the given start. After its end, the mask's
    last frame stays. When time jumps back, as in a looped file, the mask starts again.
    """

    def __init__(self, location: str, start_seconds: Fraction | None) -> None:
        self._location = location
        self._start = start_seconds
        self._open()

    def _open(self) -> None:
        self._source = open_video(self._location, Clip(self._start, tonemap=True))
        self._frames = iter(self._source)
        self._present = next(self._frames)
        self._following: Frame | None = None
        self._last: Fraction | None = None
        self._began: Fraction | None = None
        self._own_beginning = self._present.pts_seconds
        if self._start is not None:
            self._began = self._own_beginning = Fraction(0)
        self._advance()

    def __call__(self, frame: Frame) -> Part:
        if self._last is not None and frame.pts_seconds < self._last:
            self.close()
            self._open()
        self._last = frame.pts_seconds
        if self._began is None:
            self._began = frame.pts_seconds
        at = frame.pts_seconds - self._began + self._own_beginning
        while self._following is not None and self._following.pts_seconds <= at:
            self._present = self._following
            self._advance()
        return _part(_grey(self._present.image), frame)

    def close(self) -> None:
        self._source.close()

    def _advance(self) -> None:
        self._following = next(self._frames, None)


class _SegmentedMask(Closing):
    def __init__(self, path: Path, placement: Placement) -> None:
        self._segmentation = Segmentation(path, placement)

    def __call__(self, frame: Frame) -> Part:
        height, width = self._segmentation.size(frame.height, frame.width)
        return _part(self._segmentation(resized(frame.image, width, height)), frame)

    def close(self) -> None:
        pass


def _grey(image: Image) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = image.max(axis=2)
    return grey


def _part(grey: NDArray[np.uint8], frame: Frame) -> Part:
    return softened(grey, frame.width, frame.height, SOFTNESS * max(frame.width, frame.height))


def masks_of(part: Part) -> NDArray[np.float32]:
    """Return the masks of the inside and the outside, (2, h, w), for `engines.in_regions`.

    They are about as fine as the features that they select.
    """
    height, width = (max(1, side // FEATURE) for side in part.shape[:2])
    inside = scaled(part[..., 0], width, height)
    return np.stack([inside, 1 - inside])


class _Inverted(Closing):
    """Another mask with inside and outside swapped."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask

    def __call__(self, frame: Frame) -> Part:
        return np.float32(1) - self._mask(frame)

    def close(self) -> None:
        self._mask.close()
