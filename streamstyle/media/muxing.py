"""Put packets into a new file at times that its container can hold."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from typing import cast

import av
from av.container import OutputContainer
from av.format import Flags
from av.rational import AVRational
from av.stream import Stream

from streamstyle.media.tags import track_tags


class OutputTrack:
    """A track of a new file other than the picture; packets come after the file's header."""

    def __init__(self, stream: Stream, output: OutputContainer) -> None:
        self._stream = stream
        self._output = output
        # FFmpeg refuses a packet that is not later than the one before it, except for subtitles and
        # in containers that are not strict.
        is_loose = output.format.flags & cast(int, Flags.ts_nonstrict.value)
        self._step = 0 if is_loose or stream.type in ("subtitle", "data") else 1
        self._earliest: int | None = None  # for the next packet, in the container's ticks
        self._decoded: int | None = None  # time of the packet before
        self._end = 0

    def mux(self, packet: av.Packet[Stream]) -> None:
        """Write a packet, as close to its time as the container allows.

        Equal and falling times become later, and a packet without a time follows the one before it.
        """
        packet.stream = self._stream
        # Only in the container's own ticks can times be compared: in coarse ones they may be equal.
        assert self._stream.time_base is not None
        packet.rescale_ts(AVRational(self._stream.time_base))
        times = (time for time in (packet.dts, packet.pts, self._end) if time is not None)
        decoded = next(times)
        if self._earliest is not None:
            decoded = max(decoded, self._earliest)
        if not packet.duration and self._decoded is not None and self._stream.type == "audio":
            # AVI and FLV state none, and MP4 would hide a last packet of no duration.
            packet.duration = decoded - self._decoded
        self._decoded = packet.dts = decoded
        packet.pts = decoded if packet.pts is None else max(packet.pts, decoded)
        self._earliest = decoded + self._step
        self._end = decoded + (packet.duration or 0)
        self._output.mux_one(packet)


def copy_track_metadata(source: Stream, target: Stream) -> None:
    """Give a new track the language, title and purpose of the old one."""
    target.metadata.update(track_tags(source.metadata))
    target.disposition = source.disposition
