"""Decoding and encoding by a graphics card, through FFmpeg."""

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import av
import av.logging
from av.codec.hwaccel import HWAccel
from av.video.codeccontext import VideoCodecContext

from streamstyle.errors import UserError, reason

OFF, AUTO = "off", "auto"


def _device_names(codec: av.Codec) -> dict[str, None]:
    return {c.device_type.name: None for c in codec.hardware_configs if c.is_supported}


_H264 = av.Codec("h264", "r")  # the codec that every kind of device decodes

DEVICES = tuple(_device_names(_H264))
"""The kinds of device that this FFmpeg can decode by, in its own words, such as cuda or vaapi."""


def check_hwaccel(wanted: str) -> None:
    """Raise UserError if this is neither OFF nor AUTO nor one of DEVICES."""
    if wanted not in (OFF, AUTO, *DEVICES):
        raise UserError(
            f"the FFmpeg inside PyAV cannot decode by {wanted}; --hwaccel is "
            f"{', '.join((OFF, AUTO, *DEVICES))}"
        )


def find_device(wanted: str) -> tuple[HWAccel | None, str]:
    """What `av.open` takes to decode by the device `wanted`, or by the first that starts if that is
    AUTO; without one None, and why not in words that end a sentence.
    """
    problems = []
    for name in DEVICES if wanted == AUTO else (wanted,):
        try:
            with _explained():
                HWAccel(name).create(_H264)
        except (av.FFmpegError, OSError) as error:
            problems.append(f"{name} does not start here ({_words(error)})")
        else:
            return HWAccel(name, allow_software_fallback=True), ""
    return None, ", ".join(problems) or "the FFmpeg inside PyAV knows no device"


def is_on_device(decoder: VideoCodecContext) -> bool:
    """Whether a decoder that has given a frame works on a device; FFmpeg falls back silently."""
    formats = [c.format.name for c in decoder.codec.hardware_configs if c.format is not None]
    return decoder.is_hwaccel and decoder.pix_fmt in formats


def size_of(frame: av.VideoFrame, decoder: VideoCodecContext) -> tuple[int, int]:
    """Width and height of a frame's picture: devices round odd numbers up to even ones."""
    width, height = frame.width, frame.height
    return width - (width == decoder.width + 1), height - (height == decoder.height + 1)


def encoder_problem(
    encoder: str, options: dict[str, str], pixel_format: str, width: int, height: int
) -> str | None:
    """Why this machine can't start the encoder for such pictures, if so."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = width, height
    context.pix_fmt = pixel_format
    context.time_base = Fraction(1, 25)  # any
    context.options = dict(options)
    try:
        with _explained():
            context.open()
    except (av.FFmpegError, OSError) as error:
        return _words(error)
    return None


@contextmanager
def _explained() -> Iterator[None]:
    """Let errors bear what FFmpeg logs before them: its numbers alone say "not permitted" where a
    driver is missing. Nothing is printed.
    """
    before = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)
    try:
        yield
    finally:
        av.logging.set_level(before)


def _words(error: Exception) -> str:
    log: tuple[int, str, str] | None = getattr(error, "log", None)
    if log is None:
        return reason(error)
    text = log[2].strip().rstrip(".")
    return text[:1].lower() + text[1:]
