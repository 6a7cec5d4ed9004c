"""Opening what FFmpeg can open, and finding the picture and the part to paint in it."""

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
READ_TIMEOUT_S = 30.0
"""For addresses; a file answers or fails at once."""

LIVE_TIMEOUT_S = 5.0
"""A stream that is silent for so long counts as gone."""

LIVE_OPTIONS = {
    "analyzeduration": "1000000",  # microseconds: FLV that says nothing of sound takes all of it
    "fpsprobesize": "0",
    "rtsp_flags": "prefer_tcp",  # over UDP, what is lost is missed up to the next key frame
}
"""For what is watched as it happens. Without `nobuffer`, which throws away what is read while
probing: the first key frame is in it, and decoding catches up in no time."""

SEGMENTED = (".m3u8", ".mpd")
"""Ends of addresses that deliver seconds of video at once, and then nothing for as long."""


def open_container(
    location: str,
    container_format: str | None,
    low_delay: bool = False,
    device: HWAccel | None = None,
) -> InputContainer:
    url, timeout = location, None
    if container_format is None and "://" not in location:
        url = f"file:{location}"  # in whose name a colon would else end that of a protocol
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
            f"cannot open {location}: nothing came in {OPEN_TIMEOUT_S:.0f} s"
        ) from error
    except (av.FFmpegError, OSError) as error:
        raise UserError(f"cannot open {location}: {reason(error)}") from error


def is_segmented(location: str) -> bool:
    """Whether an address is of HLS or DASH."""
    return urlsplit(location).path.endswith(SEGMENTED)


def best_video(container: InputContainer, name: str, low_delay: bool = False) -> VideoStream:
    videos = [stream for stream in container.streams.video if not is_cover(stream)]
    if not videos:
        raise UserError(f"{name} has no video track")
    best = container.streams.best("video")
    stream = best if best in videos else videos[0]
    assert isinstance(stream, VideoStream)
    if stream.codec_context is None:
        raise UserError(f"{name} is in a codec that this FFmpeg cannot decode")
    # Each thread that decodes a frame of its own puts the picture off by a frame, and holds frames
    # of a device, which has few.
    stream.thread_type = "SLICE" if low_delay or stream.codec_context.is_hwaccel else "AUTO"
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
