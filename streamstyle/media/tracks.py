"""Carry all of a file but its picture from source to sink: audio, subtitles, chapters.

The source's thread offers packets as it reads them; the sink's thread writes them to the new file.
"""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

import av
from av.container import InputContainer, OutputContainer
from av.stream import AttachmentStream, Discard, Disposition, Stream
from av.video.stream import VideoStream

from streamstyle.media import timecode
from streamstyle.media.bare_tracks import bare_name, holds_bare
from streamstyle.media.inventory import Inventory
from streamstyle.media.loops import loop_option
from streamstyle.media.muxing import copy_track_metadata
from streamstyle.media.picture_data import PictureData
from streamstyle.media.remux import LeftOut, TrackWriter, find_writer
from streamstyle.media.tags import file_tags, tag_options

if TYPE_CHECKING:
    from av.container.core import Chapter


@dataclass(frozen=True)
class Span:
    """The part of a file to take, on the file's own clock, and the time that becomes 0."""

    start_seconds: Fraction | None
    """Earlier packets are left out; None to keep all, however early."""
    end_seconds: Fraction | None
    """Packets from this time on are left out; None to keep all."""
    zero_seconds: Fraction
    """Time on the file's clock that becomes 0."""

    def holds(self, seconds: Fraction) -> bool:
        """Return whether this time on the file's clock lies in the span."""
        late_enough = self.start_seconds is None or seconds >= self.start_seconds
        return late_enough and (self.end_seconds is None or seconds < self.end_seconds)


class Tracks:
    """The tracks of one input other than the painted video."""

    def __init__(self, container: InputContainer, painted: VideoStream, span: Span) -> None:
        self.container = container
        self._painted = painted
        self._span = span
        self._pending: deque[av.Packet[Stream]] = deque()
        self._covers: list[av.Packet[Stream]] = []
        self._held: dict[int, bool] = {}  # whether the last packet of each track was kept
        self._writers: dict[int, TrackWriter] = {}
        self._left_out: list[str] = []
        self._bare: list[str] = []  # tracks without a decoder that are left out
        self._tags = file_tags(container)
        self._pictures = PictureData()
        self._inventory = Inventory(container)
        self._is_taken = False
        self._is_dropped = False

    @property
    def notes(self) -> list[str]:
        """Notes on tracks that were left out or changed, complete at the end; one sentence each."""
        written = (writer.note for writer in self._writers.values())
        return [*self._left_out, *(note for note in written if note is not None)]

    def take(self) -> None:
        """Announce that the tracks will be written; call this before asking for frames."""
        self._is_taken = True

    def drop_unless_taken(self) -> None:
        """Drop all packets if no sink will write them; called by the source at its first frame."""
        if not self._is_taken:
            self._is_dropped = True
            self._pending.clear()

    def offer(self, packet: av.Packet[Stream]) -> None:
        """Hand over a packet of a track other than the painted one; called by the source."""
        if self._is_dropped:
            return
        if is_cover(packet.stream):
            self._covers.append(packet)  # FFmpeg delivers covers before all other packets
            return
        self._cut_to_start(packet)
        time, index = packet.pts if packet.pts is not None else packet.dts, packet.stream.index
        if time is not None:
            self._held[index] = self._span.holds(time * (packet.time_base or Fraction(0)))
        # A packet without a time follows the one before it.
        if self._held.get(index, self._span.start_seconds is None):
            self._pending.append(packet)

    def see(self, frame: av.VideoFrame, seconds: Fraction) -> None:
        """Take the data in a decoded frame, such as captions; called by the source.

        The frame will be shown at `seconds` in the new file.
        """
        if not self._is_dropped:
            self._pictures.see(frame, seconds)

    def with_captions(self, picture: av.VideoFrame, seconds: Fraction) -> av.VideoFrame:
        """Return a painted picture with the captions that belong to its time."""
        return self._pictures.put(picture, seconds)

    def muxer_options(self, suffix: str) -> dict[str, str]:
        """Return FFmpeg's options that let a file with this suffix keep what this one has."""
        return tag_options(self._tags, suffix) | loop_option(self.container, suffix)

    def attach(self, output: OutputContainer, picture: VideoStream) -> None:
        """Add the tracks to the new file beside its `picture`, before its first packet."""
        copy_track_metadata(self._painted, picture)
        output.metadata.update(self._tags)
        for metadata in (picture.metadata, output.metadata):
            for key in metadata:
                if key.lower() == "timecode":
                    metadata[key] = self._first_timecode(metadata[key])
        chapters = self._chapters()
        output.set_chapters(chapters)
        self._inventory.add_chapters(chapters)
        self._inventory.add_track(self._painted)
        matroska = output.format.name == "matroska"
        for stream in self.container.streams:
            if isinstance(stream, AttachmentStream):
                self._inventory.add_track(stream)
                if matroska:  # no other container can use attached fonts
                    kind = stream.mimetype or "application/octet-stream"
                    output.add_attachment(stream.name or "attachment", kind, stream.data)
            elif is_cover(stream):
                if matroska:
                    self._inventory.add_track(stream)
                else:
                    self._add_route(stream, output)
            elif stream.index != self._painted.index and not _serves_container(stream):
                self._add_route(stream, output)
        if matroska:
            for cover in self._covers:
                kind = cover.stream.codec_context.codec.canonical_name.replace("mjpeg", "jpeg")
                output.add_attachment(f"cover.{kind}", f"image/{kind}", bytes(cover))
        else:
            self._pending.extendleft(self._covers)
        if self._bare:
            names = ", ".join(self._bare)
            self._left_out.append(
                f"left out: {names}; FFmpeg can't copy them into {output.format.name}"
            )

    def mux_pending(self) -> None:
        """Write the packets that the source has offered so far; called by the sink."""
        while self._pending:
            packet = self._pending.popleft()
            writer = self._writers.get(packet.stream.index)
            if writer is not None:
                self._shift(packet)
                writer.send(packet)

    def compare(self, url: str) -> None:
        """Note what did not arrive in the new file at `url`, which must be complete."""
        self._left_out += self._inventory.compare(url, self._pictures)

    def finish(self) -> None:
        """Write the remaining packets after the source has ended."""
        self.mux_pending()
        for writer in self._writers.values():
            writer.finish()

    def _add_route(self, stream: Stream, output: OutputContainer) -> None:
        if isinstance(stream, VideoStream) and not is_cover(stream):
            self._left_out.append(
                f"video track {stream.index} left out: only one video track is painted"
            )
            return
        if stream.codec_context is None and not holds_bare(output.format.name, stream):
            self._bare.append(bare_name(stream))
            return
        writer = self._writers[stream.index] = find_writer(stream, output)
        if not isinstance(writer, LeftOut):
            self._inventory.add_track(stream)

    def _cut_to_start(self, packet: av.Packet[Stream]) -> None:
        """Make a subtitle that is on screen at the start of the span begin there."""
        start = self._span.start_seconds
        if start is None or packet.stream.type != "subtitle" or packet.pts is None:
            return
        assert packet.time_base is not None
        first = ceil(start / packet.time_base)
        end = packet.pts + (packet.duration or 0)
        if packet.pts < first < end:
            packet.pts = packet.dts = first
            packet.duration = end - first

    def _shift(self, packet: av.Packet[Stream]) -> None:
        assert packet.time_base is not None
        offset = round(self._span.zero_seconds / packet.time_base)
        if packet.pts is not None:
            packet.pts -= offset
        if packet.dts is not None:
            packet.dts -= offset

    def _first_timecode(self, of_file: str) -> str:
        """Return the timecode of the first picture in the span."""
        rate = self._painted.average_rate or self._painted.guessed_rate
        start = self._span.start_seconds
        base = self._painted.time_base
        if start is None or not rate or base is None:
            return of_file
        begin = (self._painted.start_time or 0) * base
        # Containers round timestamps, by far less than a tenth of a frame.
        return timecode.later(of_file, ceil((start - begin) * rate - Fraction(1, 10)), rate)

    def _chapters(self) -> list[Chapter]:
        """Return the chapters that overlap the span, cut to it, on the new file's clock."""
        chapters = []
        span = self._span
        for chapter in self.container.chapters():
            base = chapter["time_base"]
            if base is None:
                continue
            start, end = chapter["start"] * base, chapter["end"] * base
            if span.start_seconds is not None:
                start = max(start, span.start_seconds)
            if span.end_seconds is not None:
                end = min(end, span.end_seconds)
            if start < end:
                chapter["start"] = round((start - span.zero_seconds) / base)
                chapter["end"] = round((end - span.zero_seconds) / base)
                chapters.append(chapter)
        return chapters


def _serves_container(stream: Stream) -> bool:
    """Return whether a track only holds what the container writes by itself.

    This is so for chapters, which FFmpeg has read already, and for timecodes.
    """
    return stream.type == "data" and (
        stream.discard == Discard.all or "timecode" in stream.metadata
    )


def is_cover(stream: Stream) -> bool:
    """Return whether a video track is a still picture for the whole file, such as album art."""
    return bool(stream.disposition & Disposition.attached_pic)
