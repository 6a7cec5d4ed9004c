"""Decode and encode on a graphics card, through FFmpeg."""

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
"""Device types that this FFmpeg can decode with, by its own names, such as cuda or vaapi."""


def check_hwaccel(wanted: str) -> None:
    """Raise UserError unless `wanted` is OFF, AUTO or one of DEVICES."""
    if wanted not in (OFF, AUTO, *DEVICES):
        raise UserError(
            f"the FFmpeg inside PyAV cannot decode with {wanted}; --hwaccel takes "
            f"{', '.join((OFF, AUTO, *DEVICES))}"
        )


def find_device(wanted: str) -> tuple[HWAccel | None, str]:
    """Return the `hwaccel` argument of `av.open` that decodes on the device type `wanted`.

    AUTO takes the first device type that starts. If none starts, return None and the reason, in
    words that can end a sentence.
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
    return None, ", ".join(problems) or "the FFmpeg inside PyAV supports no hardware device"


def is_on_device(decoder: VideoCodecContext) -> bool:
    """Return whether a decoder runs on a device; it must have decoded a frame.

    FFmpeg falls back to the CPU silently.
    """
    formats = [c.format.name for c in decoder.codec.hardware_configs if c.format is not None]
    return decoder.is_hwaccel and decoder.pix_fmt in formats


def visible_size(frame: av.VideoFrame, decoder: VideoCodecContext) -> tuple[int, int]:
    """Return a picture's width and height; devices round the frame's odd sizes up to even."""
    width, height = frame.width, frame.height
    return width - (width == decoder.width + 1), height - (height == decoder.height + 1)


def encoder_problem(
    encoder: str, options: dict[str, str], pixel_format: str, width: int, height: int
) -> str | None:
    """Return why this machine can't start the encoder for these pictures; None if it can."""
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = width, height
    context.pix_fmt = pixel_format
    context.time_base = Fraction(1, 25)  # any value will do
    context.options = dict(options)
    try:
        with _explained():
            context.open()
    except (av.FFmpegError, OSError) as error:
        return _words(error)
    return None


@contextmanager
def _explained() -> Iterator[None]:
    """Attach FFmpeg's log messages to errors, and print nothing.

    The error number alone says "not permitted" where a driver is missing.
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
