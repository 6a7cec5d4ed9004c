"""Open inputs with FFmpeg, and find the video track and the time span to paint."""

from contextlib import suppress
from fractions import Fraction
from urllib.parse import urlsplit

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.video.stream import VideoStream

from streamstyle.errors import UserError, reason
from streamstyle.media.tracks import Span, is_cover

OPEN_TIMEOUT_S = 10.0
"""Maximum seconds to open an address."""

READ_TIMEOUT_S = 30.0
"""Maximum seconds to wait for data from an address; a file answers or fails at once."""

LIVE_TIMEOUT_S = 5.0
"""Seconds without data after which a live stream counts as gone."""

LIVE_OPTIONS = {
    "analyzeduration": "1000000",  # microseconds; FLV without audio details takes it all
    "fpsprobesize": "0",
    "rtsp_flags": "prefer_tcp",  # over UDP, a loss shows until the next key frame
}
"""FFmpeg's options for streams that are watched live.

`nobuffer` is not among them, because it throws away the data that is read while probing. That data
holds the first key frame, and decoding it takes almost no time.
"""

SEGMENTED = (".m3u8", ".mpd")
"""Suffixes of addresses that deliver seconds of video at once, then nothing for as long."""


def open_container(
    location: str,
    container_format: str | None,
    low_delay: bool = False,
    device: HWAccel | None = None,
) -> InputContainer:
    """Open a path or an address, or with `container_format` an input in that format.

    Raises UserError if the input cannot be opened, or if an address sends nothing in time.
    """
    url, timeout = location, None
    if container_format is None and "://" not in location:
        url = f"file:{location}"  # else FFmpeg takes the text before a colon for a protocol
    elif "://" in location:
        waits = not low_delay or is_segmented(location)
        timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S if waits else LIVE_TIMEOUT_S)
    try:
        return av.open(
            url,
            "r",
            format=container_format,
            container_options=LIVE_OPTIONS if low_delay else {},
            timeout=timeout,
            metadata_errors="replace",
            hwaccel=device,
        )
    except av.ExitError as error:
        raise UserError(
            f"cannot open {location}: no data arrived within {OPEN_TIMEOUT_S:.0f} s"
        ) from error
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"cannot open {location}: {reason(error)}") from error


def is_segmented(location: str) -> bool:
    """Return whether an address is an HLS or DASH stream."""
    return urlsplit(location).path.endswith(SEGMENTED)


def best_video(container: InputContainer, name: str, low_delay: bool = False) -> VideoStream:
    """Return the video track to paint, with its decoder's threading set.

    Raises UserError if there is none, or none that this FFmpeg can decode.
    """
    videos = [stream for stream in container.streams.video if not is_cover(stream)]
    if not videos:
        raise UserError(f"{name} has no video track")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    assert isinstance(stream, VideoStream)
    if stream.codec_context is None:
        raise UserError(f"{name} is in a codec that this FFmpeg cannot decode")
    # With one frame per thread, each thread delays the picture by a frame. Each also holds frames
    # of a hardware device, which has few.
    stream.thread_type = "SLICE" if low_delay or stream.codec_context.is_hwaccel else "AUTO"
    return stream


def span_of(container: InputContainer, start: Fraction | None, duration: Fraction | None) -> Span:
    """Return the requested span on the file's own clock, and seek the container to its start."""
    begin = Fraction(container.start_time or 0, av.time_base)
    if start is None:
        # Broadcast clocks start at an arbitrary time, which is dropped; a file's offset is kept.
        clock = container.format.name in ("mpegts", "hls", "rtsp", "rtp", "sdp")
        zero = begin if clock else Fraction(0)
        end = None if duration is None else begin + duration
        return Span(start_seconds=None, end_seconds=end, zero_seconds=zero)
    zero = begin + start
    # A pipe or live stream can't seek: the frames before the start are decoded and dropped.
    with suppress(av.FFmpegError, OSError):
        container.seek(int(zero * av.time_base))
    return Span(
        start_seconds=zero,
        end_seconds=None if duration is None else zero + duration,
        zero_seconds=zero,
    )
