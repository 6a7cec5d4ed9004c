"""Clips of two seconds in any container, codec and pixel format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import product
from pathlib import Path

import av
import numpy as np
from av.codec import Codec
from av.codec.codec import UnknownCodecError
from av.error import FFmpegError
from av.format import ContainerFormat
from av.video.format import names as pixel_format_names
from numpy.typing import NDArray

from streamstyle.system import ordinary_scheduling

SECONDS = 2
TONE_HZ = 440.0
PATCHES = (
    (128, 128, 128),
    (190, 60, 60),
    (60, 170, 60),
    (70, 70, 190),
    (60, 170, 170),
    (170, 60, 160),
    (190, 180, 70),
)
"""A gray and six colors, side by side."""

# Some codecs have fixed sizes, rates and layouts; the first that works is taken.
SIZES_AND_RATES = (((224, 64), 10), ((224, 64), 25), ((176, 144), 30), ((720, 576), 25))
SAMPLE_RATES = (48000, 44100, 16000, 8000)
LAYOUTS = ("stereo", "mono")
COMMON_CODECS = ("libx264", "mpeg4", "mpeg2video", "mjpeg", "ffv1", "rawvideo", "flv1", "vp8")
"""What goes along with sound, if the usual codec of the container can't be had."""
FAST = {"libx264": {"preset": "ultrafast"}, "libx265": {"preset": "ultrafast"},
        "libsvtav1": {"preset": "12"}, "libvpx": {"deadline": "realtime"}}  # fmt: skip
HARDWARE = 1 << 18
"""AV_CODEC_CAP_HARDWARE."""

NO_FILES = {
    "alsa", "oss", "fbdev", "video4linux2,v4l2", "crc", "md5", "hash", "framecrc", "framehash",
    "framemd5", "streamhash", "uncodedframecrc", "null", "tee", "fifo", "rtp", "rtsp", "sap",
    "rtp_mpegts", "whip", "segment", "hds", "smoothstreaming", "stream_segment,ssegment",
    "image2", "image2pipe", "webm_chunk", "webm_dash_manifest", "data", "ffmetadata",
    "mkvtimestamp_v2", "vnull", "asf_stream",
}  # fmt: skip
"""Muxers that write to devices, addresses or many files, no media, or what is read as raw JPEG."""
UNLISTED = {
    "dash", "dvd", "gxf", "hls", "mpeg", "mpegts", "mxf", "mxf_d10", "mxf_opatom", "ogg", "ogv",
    "rm", "svcd", "swf", "vcd", "vob",
}  # fmt: skip
"""Muxers that name no more than their usual codecs; all are tried in one pixel format."""
NO_CODECS = frozenset({"vnull", "anull"})


@dataclass(frozen=True)
class Case:
    """A file to make: a picture, and sound if `sound` is not empty."""

    container: str
    codec: str
    pixel_format: str = ""
    sound: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.container, self.codec, self.pixel_format, self.sound)))


class CannotWriteError(Exception):
    """FFmpeg has no such combination."""


def containers() -> list[str]:
    return [name for name in sorted(av.formats_available - NO_FILES) if _is_muxer(name)]


def picture_cases() -> Iterator[Case]:
    """Yield each container with each codec and pixel format, its usual codec first.

    Many can't be written.
    """
    codecs = _encoders("video")
    for container in containers():
        muxer = _Muxer(container)
        for codec in sorted(codecs, key=lambda codec: codec.name != muxer.picture):
            if not muxer.takes(codec):
                continue
            formats = [f.name for f in codec.video_formats or ()] or sorted(pixel_format_names)
            for pixel_format in formats if muxer.lists(codec) else formats[:1]:
                yield Case(container, codec.name, pixel_format)


def sound_cases() -> Iterator[Case]:
    """Yield each container that holds pictures with each sound codec; many can't be written."""
    for container in containers():
        muxer = _Muxer(container)
        for sound in _encoders("audio"):
            if muxer.picture and muxer.takes(sound):
                yield Case(container, muxer.picture, sound=sound.name)


def write_clip(path: Path, case: Case) -> None:
    """Write the clip, at the first size, rates and layout that its codecs take.

    Raises:
        CannotWriteError: None of them can be written.
    """
    errors: tuple[type[Exception], ...] = (FFmpegError, ValueError, TypeError, OverflowError)
    sounds = product(SAMPLE_RATES, LAYOUTS) if case.sound else [(0, "")]
    # Sound and picture are independent; trying all pairs of both would take long.
    for size, rate in SIZES_AND_RATES:
        try:
            _write(path, case, size, rate, None)
        except errors:
            continue
        if not case.sound:
            return None
        for sound in sounds:
            with suppress(*errors):
                return _write(path, case, size, rate, sound)
    raise CannotWriteError


def suffix(container: str) -> str:
    """Return the usual suffix of a container's files."""
    extensions = sorted(ContainerFormat(container, "w").extensions)
    return f".{extensions[0].strip()}" if extensions else ".bin"


def picture(size: tuple[int, int], index: int) -> NDArray[np.uint8]:
    """Return the patches, and below them a gray strip that gets lighter with each frame."""
    width, height = size
    image = np.zeros((height, width, 3), np.uint8)
    for number, color in enumerate(PATCHES):
        image[:, width * number // len(PATCHES) :] = color
    image[height * 3 // 4 :] = 20 + 4 * index
    return image


def _write(
    path: Path, case: Case, size: tuple[int, int], rate: int, sound: tuple[int, str] | None
) -> None:
    with av.open(path, "w", format=case.container) as output:
        video = output.add_stream(case.codec, rate)
        context = video.codec_context
        context.width, context.height = size
        if case.pixel_format:
            context.pix_fmt = case.pixel_format
        elif context.codec.video_formats:
            context.pix_fmt = context.codec.video_formats[0].name
        pixel_format = context.pix_fmt or "yuv420p"
        context.options = FAST.get(case.codec, {})
        audio = None
        if sound is not None:
            audio = output.add_stream(case.sound, rate=sound[0], layout=sound[1])
            audio.codec_context.open()
        with ordinary_scheduling():
            output.start_encoding()
        for index in range(SECONDS * rate):
            frame = av.VideoFrame.from_ndarray(picture(size, index), "rgb24")
            frame = frame.reformat(format=pixel_format)
            frame.pts, frame.time_base = index, Fraction(1, rate)
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        if audio is not None:
            _write_tone(output, audio)


def _write_tone(output: av.container.OutputContainer, stream: av.AudioStream) -> None:
    context = stream.codec_context
    rate, length = context.sample_rate, context.frame_size or 1024
    tone = 0.3 * np.sin(2 * np.pi * TONE_HZ * np.arange(SECONDS * rate) / rate)
    resampler = av.AudioResampler(context.format, context.layout, rate)
    for start in range(0, len(tone), length):
        chunk = tone[None, start : start + length].astype(np.float32)
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        for converted in resampler.resample(frame):
            output.mux(stream.encode(converted))
    output.mux(stream.encode(None))


class _Muxer:
    """What a container can hold."""

    def __init__(self, name: str) -> None:
        with av.open(BytesIO(), "w", format=name) as output:
            self._codecs = output.supported_codecs
            self._unlisted = name in UNLISTED
            usual = output.default_video_codec
        # The usual codec by the name of its encoder: a muxer names "h264", not "libx264".
        codecs = [codec for codec in map(_encoder, (usual, *COMMON_CODECS)) if codec]
        held = [codec.name for codec in codecs if self.takes(codec)]
        self.picture = held[0] if held else ""
        """A codec for pictures; empty if there is none."""

    def takes(self, codec: Codec) -> bool:
        """Return whether it is worth trying."""
        return self._unlisted or self.lists(codec)

    def lists(self, codec: Codec) -> bool:
        """Return whether the container says that it holds this codec."""
        return codec.canonical_name in self._codecs


def _encoders(kind: str) -> list[Codec]:
    codecs = filter(None, map(_encoder, sorted(av.codecs_available - NO_CODECS)))
    return sorted(
        {codec.name: codec for codec in codecs if codec.type == kind}.values(),
        key=lambda codec: codec.name,
    )


def _encoder(name: str) -> Codec | None:
    with suppress(UnknownCodecError):
        codec = Codec(name, "w")
        if not codec.capabilities & HARDWARE:
            return codec
    return None


def _is_muxer(name: str) -> bool:
    try:
        return ContainerFormat(name, "w").is_output
    except ValueError:
        return False
