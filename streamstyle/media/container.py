"""Open inputs with FFmpeg, and find the video track and the time span to paint."""

from fractions import Fraction
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer
from av.format import Flags
from av.video.stream import VideoStream

from streamstyle.errors import UserError, reason
from streamstyle.media.sound import is_known
from streamstyle.media.tracks import Span, is_cover
from streamstyle.pipes import url_of

OPEN_TIMEOUT_S = 10.0
"""Maximum seconds to open an address."""

READ_TIMEOUT_S = 30.0
"""Maximum seconds to wait for data from an address; a file answers or fails at once."""

LIVE_TIMEOUT_S = 5.0
"""Seconds without data after which a live stream counts as gone."""

FURTHER = {"probesize": "50000000", "analyzeduration": "60000000"}
"""FFmpeg's options for files with a track that begins late: bytes and microseconds to look for it.

By default, FFmpeg looks at 5 MB and 5 s.
"""

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
        url = url_of(location)
    elif "://" in location:
        waits = not low_delay or is_segmented(location)
        timeout = (OPEN_TIMEOUT_S, READ_TIMEOUT_S if waits else LIVE_TIMEOUT_S)

    def opened(options: dict[str, str]) -> InputContainer:
        return av.open(
            url,
            "r",
            format=container_format,
            container_options=options,
            timeout=timeout,
            metadata_errors="replace",
            hwaccel=device,
        )

    try:
        container = opened(LIVE_OPTIONS if low_delay else {})
        if not low_delay and Path(location).is_file() and not all(map(is_known, container.streams)):
            container.close()
            container = opened(FURTHER)
        return container
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
        raise UserError(
            f"{name} is in a codec that this FFmpeg cannot decode, or protected (DRM); convert it "
            "to H.264 with a program that plays it"
        )
    # With one frame per thread, each thread delays the picture by a frame. Each also holds frames
    # of a hardware device, which has few.
    stream.thread_type = "SLICE" if low_delay or stream.codec_context.is_hwaccel else "AUTO"
    return stream


def stated_seconds(container: InputContainer) -> Fraction | None:
    """Return the length that the whole input states; None for a stream, which has no length."""
    duration = container.duration
    return Fraction(duration, av.time_base) if duration and duration > 0 else None


def begin_of(container: InputContainer) -> Fraction:
    """Return the time on the input's own clock at which its first track begins."""
    return Fraction(container.start_time or 0, av.time_base)


def may_jump(container: InputContainer) -> bool:
    """Return whether the clock may begin anew in the middle, as in joined recordings."""
    return bool(container.format.flags & cast(int, Flags.ts_discont.value))


def can_seek(container: InputContainer) -> bool:
    """Return whether another place of the input can be read, and then its beginning again.

    A pipe and a live stream go on from where they are. Raw streams have no times to seek to.
    """
    if has_no_times(container):
        return False
    is_address = "://" in container.name and stated_seconds(container) is not None
    return is_address or Path(container.name.removeprefix("file:")).is_file()


def has_no_times(container: InputContainer) -> bool:
    """Return whether the input is a raw stream; FFmpeg makes up times for 25 frames per second."""
    return bool(container.format.flags & cast(int, Flags.no_timestamps.value))


def span_of(container: InputContainer, start: Fraction | None, duration: Fraction | None) -> Span:
    """Return the requested span on the file's own clock."""
    begin = begin_of(container)
    # The clock of a broadcast or a recorded stream starts at any time, which is dropped. A file's
    # sound may begin before 0, with samples that no player plays.
    zero = max(begin, Fraction(0)) if start is None else begin + start
    return Span(
        start_seconds=None if start is None else zero,
        end_seconds=None if duration is None else begin + (start or 0) + duration,
        zero_seconds=zero,
    )
