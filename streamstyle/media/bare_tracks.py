"""Copy tracks that FFmpeg knows but cannot decode, such as telemetry and teletext."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

import io
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.stream import DataStream, Stream


def add_bare_copy(stream: Stream, output: OutputContainer) -> Stream:
    """Add a track that takes the packets of `stream`, which has no decoder.

    Raises ValueError or FFmpegError if the container can't hold them.
    """
    copy = output.add_data_stream()
    # The one way in PyAV to give a track parameters without a codec context.
    BitStreamFilterContext("null", in_stream=stream, out_stream=copy)
    copy.time_base = stream.time_base
    return copy


def bare_name(stream: Stream) -> str:
    """Return a name for a track without a decoder."""
    kinds = {"audio": "audio track", "subtitle": "subtitles"}
    codec = _kind(stream)[1] or "no decoder"
    return f"{kinds.get(stream.type, 'data track')} {stream.index} ({codec})"


def holds_bare(container: str, stream: Stream) -> bool:
    """Return whether the track comes back from the container as what it was; a trial shows it.

    MOV and MPEG-TS take anything, but many kinds of data come back as bytes without a meaning.
    """
    name = _kind(stream)[1]
    if stream.type not in ("data", "subtitle") or (stream.type == "data" and name is None):
        return False  # only FFmpeg knows what else such a track needs, and only for known codecs
    if name == "bin_data" and container not in stream.container.format.name.split(","):
        return False  # only its container says what the data is
    trial = io.BytesIO()
    try:
        with av.open(trial, "w", format=container) as output:
            copy = add_bare_copy(stream, output)
            packet = av.Packet(bytes(64))
            packet.stream, packet.time_base = copy, stream.time_base or Fraction(1, 1000)
            packet.pts = packet.dts = 0
            output.mux_one(packet)
        trial.seek(0)
        with av.open(trial) as written:
            return any(_kind(back) == _kind(stream) for back in written.streams)
    except (av.FFmpegError, ValueError):
        return False


def _kind(stream: Stream) -> tuple[str, str | None]:
    return stream.type, stream.name if isinstance(stream, DataStream) else None
