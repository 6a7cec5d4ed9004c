"""Convert YUV to RGB and back with the file's own matrix and range, so that colors are kept.

The integers are FFmpeg's AVColorSpace, AVColorRange, AVColorPrimaries and
AVColorTransferCharacteristic. Matrix, primaries and transfer have the numbers of ITU-T H.273.
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Self, cast

import av
import numpy as np
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from streamstyle import system
from streamstyle.errors import UserError
from streamstyle.frame import Image
from streamstyle.image_ops import load_opencv

UNSPECIFIED = 2  # for matrix, primaries and transfer
_RGB = 0  # the matrix of video stored as RGB
_LIMITED, _FULL = 1, 2
_BT709 = 1
_SMPTE170M = 6
_HDR_TRANSFERS = {16: "PQ (HDR10)", 18: "HLG"}

_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
}

_LUMA_WEIGHTS = {
    Colorspace.ITU709: (0.2126, 0.0722),
    Colorspace.FCC: (0.30, 0.11),
    Colorspace.ITU601: (0.299, 0.114),
    Colorspace.SMPTE240M: (0.212, 0.087),
    Colorspace.BT2020: (0.2627, 0.0593),
}
"""Shares of red and blue in the luma (H.273, table 4)."""

_TO_RGB = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_FROM_RGB = Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP
"""Repeating chroma samples and averaging them again returns the very same samples.

Without accurate rounding and full chroma, swscale darkens a picture by one to three levels each
time.
"""


@dataclass(frozen=True)
class Color:
    """How the numbers in a video encode colors."""

    matrix: int
    range: int
    """Limited (1), full (2) or unspecified (0); unspecified means limited."""
    primaries: int
    transfer: int
    high_definition: bool
    """Decides, as in players, what an unspecified matrix means: BT.709 if true, else BT.601."""

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """Return the color encoding that the decoder reports for `frame`.

        Raises UserError for a matrix that we can't convert.
        """
        # For video stored as RGB, decoders report arbitrary matrices.
        matrix = _RGB if frame.format.is_rgb else int(frame.colorspace)
        if matrix not in (*_MATRICES, UNSPECIFIED, _RGB):
            raise UserError(
                f"the video's color matrix (number {matrix} of H.273) is not supported; "
                "convert it to BT.709 first"
            )
        return cls(
            matrix=matrix,
            # The yuvj formats predate the range tag and mean full range without it.
            range=_FULL if frame.format.name.startswith("yuvj") else int(frame.color_range),
            primaries=int(frame.color_primaries),
            transfer=int(frame.color_trc),
            high_definition=_is_high_definition(frame.width, frame.height),
        )

    @property
    def hdr(self) -> str | None:
        """Name of the high dynamic range curve; None for standard range."""
        return _HDR_TRANSFERS.get(self.transfer)

    def written_at(self, width: int, height: int) -> Self:
        """Return the color encoding for a YUV file of this size in pixels.

        The matrix becomes definite if the source is stored as RGB, or if the new size would change
        the meaning of the source's unspecified matrix.
        """
        if self.matrix == _RGB:
            matrix = _BT709 if _is_high_definition(width, height) else _SMPTE170M
            return replace(self, matrix=matrix, range=_LIMITED)
        if self.matrix == UNSPECIFIED and self.high_definition != _is_high_definition(
            width, height
        ):
            return replace(self, matrix=_BT709 if self.high_definition else _SMPTE170M)
        return self

    @property
    def range_or_limited(self) -> int:
        """Range for swscale: unspecified becomes limited."""
        return self.range or _LIMITED

    @property
    def colorspace(self) -> Colorspace:
        """Matrix for swscale: unspecified becomes BT.709 or BT.601."""
        assumed = Colorspace.ITU709 if self.high_definition else Colorspace.ITU601
        return _MATRICES.get(self.matrix, assumed)


BT709 = Color(_BT709, _LIMITED, _BT709, _BT709, high_definition=True)
"""Color encoding of frames that do not come from a file."""


def _is_high_definition(width: int, height: int) -> bool:
    return width >= 1280 or height > 576


MOST_THREADS = 4
"""Maximum threads per conversion.

One core converts a frame of 3840x2160 to YUV in 16 ms. Encoding waits for that if the engine runs
on a graphics card or on many cores.
"""


class Converter:
    """A color converter that keeps swscale's tables for one frame size. For one thread only."""

    def __init__(self) -> None:
        self._threads = min(system.cores(), MOST_THREADS)
        self._reformatter = VideoReformatter()

    def to_rgb(self, frame: av.VideoFrame, color: Color) -> Image:
        """Return the picture of `frame`, (H, W, 3), in RGB as a screen shows it."""
        rgb = self._reformatter.reformat(
            _at_cell_centers(frame),
            format="rgb24",
            src_colorspace=color.colorspace,
            dst_colorspace=color.colorspace,
            src_color_range=color.range_or_limited,
            dst_color_range=_FULL,
            interpolation=_TO_RGB,
            threads=self._threads,
        )
        return cast(Image, rgb.to_ndarray())

    def from_rgb(self, image: Image, color: Color, pixel_format: str) -> av.VideoFrame:
        """Return a picture (H, W, 3) as a YUV frame with the matrix and range of `color`."""
        if color.range_or_limited == _FULL:
            # Here swscale shifts all chroma by half a level.
            cv2 = load_opencv()
            planes = cv2.split(cv2.transform(image, _full_range_matrix(color.colorspace)))
            whole = av.VideoFrame.from_ndarray(np.array(planes, np.uint8), format="yuv444p")
        else:
            whole = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = self._reformatter.reformat(
            whole,
            format=pixel_format,
            src_colorspace=color.colorspace,
            dst_colorspace=color.colorspace,
            src_color_range=_FULL,
            dst_color_range=color.range_or_limited,
            interpolation=_FROM_RGB,
            threads=self._threads,
        )
        frame.colorspace = color.matrix
        return frame


def _at_cell_centers(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a copy that does not state where its chroma samples lie.

    Where a frame says so, swscale moves them. Moving them back would blur them, so they stay.
    """
    # Some decoders give the lines from the bottom up, with negative steps.
    upside_down = any(plane.line_size < 0 for plane in frame.planes)
    if upside_down or not frame.format.is_planar or frame.format.is_rgb:
        return frame
    copy = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for source, target in zip(frame.planes, copy.planes, strict=True):
        rows, copied = (
            np.asarray(memoryview(plane)).reshape(plane.height, -1) for plane in (source, target)
        )
        width = min(rows.shape[1], copied.shape[1])  # they may be padded differently
        copied[:, :width] = rows[:, :width]
    return copy


@cache
def _full_range_matrix(colorspace: Colorspace) -> NDArray[np.float64]:
    """Return the matrix from (R, G, B, 1) to full-range (Y, Cb, Cr), all of 0 to 255."""
    red, blue = _LUMA_WEIGHTS[colorspace]
    luma = np.array([red, 1 - red - blue, blue])
    rows = [luma, (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)]
    return np.column_stack([rows, [0, 128, 128]])
