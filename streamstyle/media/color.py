"""Convert YUV to RGB and back with the file's own matrix and range, so that colors are kept.

The integers are FFmpeg's AVColorSpace, AVColorRange, AVColorPrimaries and
AVColorTransferCharacteristic. Matrix, primaries and transfer have the numbers of ITU-T H.273.
"""

from dataclasses import dataclass, replace
from typing import Self, cast

import av
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from streamstyle import system
from streamstyle.errors import UserError
from streamstyle.frame import Image

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

_PLANAR = {
    "nv12": "yuv420p",
    "p010le": "yuv420p",
    "p016le": "yuv420p",
    "nv16": "yuv422p",
    "p210le": "yuv422p",
    "yuv420p10le": "yuv420p",
    "yuv422p10le": "yuv422p",
}
"""Intermediate planar format for each graphics card format and 10-bit format.

A direct conversion of these formats to RGB with swscale darkens limited range by two levels. The
conversion from the planar format does not.
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
        self._to_planar = VideoReformatter()

    def to_rgb(self, frame: av.VideoFrame, color: Color) -> Image:
        """Return the picture of `frame`, (H, W, 3), in RGB as a screen shows it."""
        if frame.format.name in _PLANAR:
            frame = self._to_planar.reformat(
                frame,
                format=_PLANAR[frame.format.name],
                src_colorspace=color.colorspace,
                dst_colorspace=color.colorspace,
                src_color_range=color.range_or_limited,
                dst_color_range=color.range_or_limited,
                threads=self._threads,
            )
        rgb = self._reformatter.reformat(
            frame,
            format="rgb24",
            src_colorspace=color.colorspace,
            dst_colorspace=color.colorspace,
            src_color_range=color.range_or_limited,
            dst_color_range=_FULL,
            threads=self._threads,
        )
        return cast(Image, rgb.to_ndarray())

    def from_rgb(self, image: Image, color: Color, pixel_format: str) -> av.VideoFrame:
        """Return a picture (H, W, 3) as a YUV frame with the matrix and range of `color`."""
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            format=pixel_format,
            src_colorspace=color.colorspace,
            dst_colorspace=color.colorspace,
            src_color_range=_FULL,
            dst_color_range=color.range_or_limited,
            # Without accurate rounding, grays drift by two levels on each round trip.
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=self._threads,
        )
        frame.colorspace = color.matrix
        return frame
