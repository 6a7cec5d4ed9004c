"""YUV to RGB and back by the file's own matrix and range, so that colors survive the round trip.

The integers are FFmpeg's AVColorSpace, AVColorRange, AVColorPrimaries and
AVColorTransferCharacteristic, which are those of ITU-T H.273.
"""

from dataclasses import dataclass, replace
from typing import Self, cast

import av
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter

from streamstyle import system
from streamstyle.errors import UserError
from streamstyle.frame import Image

UNSPECIFIED = 2  # of matrix, primaries and transfer
_RGB = 0  # the matrix of video that is stored as RGB
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
"""The formats of pictures off a graphics card and of 10 bits, and what they are made into first:
swscale's code from these to RGB darkens limited range by two levels, that from those does not."""


@dataclass(frozen=True)
class Color:
    """How a video's numbers stand for colors."""

    matrix: int
    range: int
    """Limited (1), full (2) or unspecified (0), which means limited."""
    primaries: int
    transfer: int
    high_definition: bool
    """Decides what an unspecified matrix means, as in players: BT.709 here, BT.601 otherwise."""

    @classmethod
    def of(cls, frame: av.VideoFrame) -> Self:
        """What the decoder says of `frame`. Raises UserError for a matrix we can't convert."""
        # Decoders tag what is stored as RGB with anything.
        matrix = _RGB if frame.format.is_rgb else int(frame.colorspace)
        if matrix not in (*_MATRICES, UNSPECIFIED, _RGB):
            raise UserError(
                f"the video's color matrix (number {matrix} of H.273) is not supported; "
                "convert it to BT.709 first"
            )
        return cls(
            matrix=matrix,
            # The yuvj formats are older than the tag and mean full range without it.
            range=_FULL if frame.format.name.startswith("yuvj") else int(frame.color_range),
            primaries=int(frame.color_primaries),
            transfer=int(frame.color_trc),
            high_definition=_is_high_definition(frame.width, frame.height),
        )

    @property
    def hdr(self) -> str | None:
        """The name of the high dynamic range curve, None for standard range."""
        return _HDR_TRANSFERS.get(self.transfer)

    def written_at(self, width: int, height: int) -> Self:
        """The colors of a YUV file of this size: with a definite matrix where the source is stored
        as RGB, or where another size would change what its unspecified one means.
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
        """The range as it is meant, for swscale."""
        return self.range or _LIMITED

    @property
    def colorspace(self) -> Colorspace:
        assumed = Colorspace.ITU709 if self.high_definition else Colorspace.ITU601
        return _MATRICES.get(self.matrix, assumed)


BT709 = Color(_BT709, _LIMITED, _BT709, _BT709, high_definition=True)
"""The color of what comes from no file."""


def _is_high_definition(width: int, height: int) -> bool:
    return width >= 1280 or height > 576


MOST_THREADS = 4
"""Most threads of a conversion. A frame of 3840x2160 takes one core 16 ms to YUV, and where an
engine has a graphics card or many cores, encoding waits for that."""


class Converter:
    """Keeps swscale's tables for frames of one size. Used by one thread."""

    def __init__(self) -> None:
        self._threads = min(system.cores(), MOST_THREADS)
        self._reformatter = VideoReformatter()
        self._to_planar = VideoReformatter()

    def to_rgb(self, frame: av.VideoFrame, color: Color) -> Image:
        """The frame's picture, (H, W, 3), as a screen shows it."""
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
        """The picture in a YUV format, with the tags of `color`."""
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(image, format="rgb24"),
            format=pixel_format,
            src_colorspace=color.colorspace,
            dst_colorspace=color.colorspace,
            src_color_range=_FULL,
            dst_color_range=color.range_or_limited,
            # Without it greys drift by two levels on each trip.
            interpolation=Interpolation.BILINEAR | Interpolation.ACCURATE_RND,
            threads=self._threads,
        )
        frame.colorspace = color.matrix
        return frame
