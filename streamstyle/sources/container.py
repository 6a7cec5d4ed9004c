"""Opening what FFmpeg can open, and finding the picture and the part to paint in it."""

from contextlib import suppress
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from streamstyle.errors import UserError, reason
from streamstyle.tracks import Span, is_cover

OPEN_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 30.0
"""For addresses; a file answers or fails at once."""


def open_container(location: str, container_format: str | None) -> InputContainer:
    timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S) if "://" in location else None
    try:
        return av.open(
            location, "r", format=container_format, timeout=timeout, metadata_errors="replace"
        )
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"cannot open {location}: {reason(error)}") from error


def best_video(container: InputContainer, name: str) -> VideoStream:
    videos = [stream for stream in container.streams.video if not is_cover(stream)]
    if not videos:
        raise UserError(f"{name} has no video track")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    assert isinstance(stream, VideoStream)
    if stream.codec_context is None:
        raise UserError(f"{name} is in a codec that this FFmpeg cannot decode")
    stream.thread_type = "AUTO"
    return stream


def span_of(container: InputContainer, start: Fraction | None, duration: Fraction | None) -> Span:
    """The span asked for on the file's own clock, with the container moved to its start."""
    begin = Fraction(container.start_time or 0, av.time_base)
    if start is None:
        # Broadcast clocks start anywhere and mean nothing; a file's offset is kept as it is.
        clock = container.format.name in ("mpegts", "hls", "rtsp", "rtp", "sdp")
        zero = begin if clock else Fraction(0)
        end = None if duration is None else begin + duration
        return Span(start_seconds=None, end_seconds=end, zero_seconds=zero)
    zero = begin + start
    # A pipe or live stream can't: what comes before is decoded and left out.
    with suppress(av.FFmpegError, OSError):
        container.seek(int(zero * av.time_base))
    return Span(
        start_seconds=zero,
        end_seconds=None if duration is None else zero + duration,
        zero_seconds=zero,
    )
