"""Read a span of a video file: its pictures, decoded and timed, and packets of its other tracks."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import chain

import av
from av.container import InputContainer
from av.stream import Stream

from streamstyle.closeable import Closing
from streamstyle.errors import reason
from streamstyle.media.container import (
    begin_of,
    best_video,
    can_seek,
    has_no_times,
    may_jump,
    span_of,
    stated_seconds,
)
from streamstyle.media.protection import refuse_protected
from streamstyle.media.timestamps import INTERLEAVE_S, BestEffort, Continuity
from streamstyle.media.tracks import Tracks

FALLBACK_RATE = Fraction(25)
"""Frames per second of raw streams that state neither timestamps nor a rate."""

MAX_RATE = 240
"""Frames per second above which a stated rate belongs to the clock and not to the picture."""

EARLY_END_S = 1.0
"""Seconds missing from the stated length above which a file was cut off; less is rounding."""


def open_reader(
    opener: Callable[[], InputContainer],
    name: str,
    start: Fraction | None,
    duration: Fraction | None,
    low_delay: bool,
) -> Reader:
    """Return a reader at a place from which it misses nothing of the span asked for.

    FFmpeg's seeking may land after the time asked for, or between key frames, and how well it goes
    depends on the container. So ever earlier places are tried. If none of them will do, the input
    is opened again and all frames before the start are decoded and dropped.

    Args:
        opener: Opens the input.
        name: Display name for notes and errors.
        start: Start of the span, counted from the beginning of the video; None for all.
        duration: Length of the span; None for all up to the end.
        low_delay: As in `sources.open.open_video`.
    """
    reader = Reader(opener(), name, start, duration, low_delay)
    try:
        if start is None or not can_seek(reader.container):
            return reader
        back = Fraction(0)
        while back < start:
            if reader.land(back):
                return reader
            back = 2 * back + 1
    except BaseException:
        reader.close()
        raise
    reader.close()
    return Reader(opener(), name, start, duration, low_delay)


class Reader(Closing):
    """The frames of one video track in a span, and the tracks beside it."""

    def __init__(
        self,
        container: InputContainer,
        name: str,
        start: Fraction | None,
        duration: Fraction | None,
        low_delay: bool,
    ) -> None:
        """Choose the track; nothing is read before the first frame is asked for.

        Raises UserError if there is no video that can be decoded.
        """
        self.container = container
        self._name = name
        try:
            live = low_delay and stated_seconds(container) is None
            self.stream = best_video(container, name, live)
            self.base = self.stream.time_base or Fraction(1, 1000)
            self.span = span_of(container, start, duration)
            self._is_raw = has_no_times(container)
            self._begin()
        except BaseException:
            container.close()
            raise

    def _begin(self) -> None:
        """Forget all that has been read."""
        self.tracks = Tracks(self.container, self.stream, self.span)
        self._continuity = Continuity(self.stream, self._step)
        self.unread: str | None = None
        """Why the rest could not be read; None if it could."""
        self.frames = self._decode()
        """The frames of the span, each with a later `pts` than the frame before it."""
        self._packets = self._demux()
        self._first_seconds: Fraction | None = None  # time of the first decoded picture
        self._damaged = 0  # places in the span that were only decoded in part
        self._has_late_track = False
        self._is_read = False  # up to the end of the file
        self._last_seconds = Fraction(0)  # where the last packet ends
        self._sound_from: dict[int, Fraction] = {}  # time of the first packet of each sound track

    def close(self) -> None:
        self.container.close()

    def land(self, back_seconds: Fraction) -> bool:
        """Seek to so long before the start; return whether all of the span lies after that place.

        If it does not, land somewhere else before reading on.
        """
        start = self.span.start_seconds
        assert start is not None
        try:
            self.container.seek(int((start - back_seconds) * av.time_base))
        except (av.FFmpegError, OSError):
            return False
        self._begin()
        self._packets = self._from_key_frame(self._packets, start)
        first = next(self.frames, None)
        if first is None and may_jump(self.container):
            return False  # FFmpeg seeks by the clock of the last part
        if first is not None:
            self.frames = chain([first], self.frames)
        # Files store sound close to its picture, before or after it.
        is_heard = back_seconds >= INTERLEAVE_S or all(
            seconds <= start for seconds in self._sound_from.values()
        )
        return is_heard and self._first_seconds is not None and self._first_seconds <= start

    @property
    def rate(self) -> Fraction | None:
        """Frames per second; None if unknown."""
        rate = None if self._is_raw else self.stream.average_rate
        rate = rate or self.stream.guessed_rate
        return rate if rate and rate <= MAX_RATE else None

    @property
    def _step(self) -> Fraction:
        """Duration of a frame that does not state one."""
        return 1 / (self.rate or FALLBACK_RATE)

    def notes(self) -> list[str]:
        """Return notes for the user on what was wrong with the file, one sentence each."""
        name, notes = self._name, []
        if self.unread is not None:
            notes.append(f"{name} could not be read to its end: {self.unread}")
        stated, missing = stated_seconds(self.container), self._missing_seconds()
        if stated is not None and missing > EARLY_END_S:
            notes.append(
                f"{name} ends early: {float(missing):.1f} s of {float(stated):.1f} s are missing"
            )
        if self._has_late_track:
            notes.append(f"a track that begins in the middle of {name} was left out")
        if self._damaged:
            notes.append(f"{name} is damaged: {self._damaged} places were only decoded in part")
        if self._continuity.jumps:
            notes.append(
                f"{name} jumps back in time at {self._continuity.jumps} places; its parts were "
                "joined into one continuous video"
            )
        if self._continuity.lost:
            notes.append(
                f"{self._continuity.lost} packets of audio or subtitles in {name} came too late "
                "and were left out"
            )
        return notes

    def _missing_seconds(self) -> Fraction:
        """Return how much earlier all tracks stop than the file states, once it is read."""
        stated = stated_seconds(self.container)
        if not self._is_read or stated is None:
            return Fraction(0)
        # Some files state the time at which they end instead of their length.
        return stated - max(self._last_seconds, self._last_seconds - begin_of(self.container))

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield the frames of the span."""
        end = self.span.end_seconds
        for frame in self._timed():
            assert frame.pts is not None
            seconds = frame.pts * self.base
            if self._first_seconds is None:
                self._first_seconds = seconds
            if end is not None and seconds >= end:
                self._read_on(end)
                return
            if self.span.holds(seconds):
                self._damaged += frame.is_corrupt
                yield frame
        self._is_read = True

    def _timed(self) -> Iterator[av.VideoFrame]:
        """Yield all decoded frames, each with a later `pts` than the frame before it."""
        step = max(1, round(self._step / self.base))
        best_effort = BestEffort()
        last, next_pts = None, 0
        for frame in self._decode_all():
            pts = None if self._is_raw else best_effort.pts(frame)
            if pts is None:
                pts = next_pts
            if last is not None and pts <= last:
                pts = last + 1  # no file could hold two frames with the same time
            frame.pts = last = pts
            # Some fields are shown longer; where no rate is stated, FFmpeg may say one tick.
            next_pts = pts + max(frame.duration or 0, step)
            yield frame

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        """Yield all decoded frames, and hand over the packets of other tracks on the way."""
        for packet in self._packets:
            if packet.stream.index == self.stream.index:
                yield from self._decoded(packet)
            else:
                self.tracks.offer(packet)
        yield from self._decoded(None)

    def _decoded(self, packet: av.Packet[Stream] | None) -> Iterator[av.VideoFrame]:
        """Yield the frames that the decoder has after `packet`; None flushes the decoder."""
        try:
            yield from self.stream.codec_context.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError:  # decoders differ in the type that they raise
            time = None if packet is None else _time_of(packet)
            self._damaged += time is None or self.span.holds(time)

    def _read_on(self, end: Fraction) -> None:
        """Hand over the rest of the other tracks' packets up to `end`.

        Some of them are stored after the frame at `end`.
        """
        for packet in self._packets:
            if packet.stream.index != self.stream.index:
                self.tracks.offer(packet)
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None and time * (packet.time_base or 0) > end + INTERLEAVE_S:
                return

    def _from_key_frame(
        self, packets: Iterator[av.Packet[Stream]], start: Fraction
    ) -> Iterator[av.Packet[Stream]]:
        """Leave out pictures before the first key frame; end if that comes after `start`.

        Without a key frame, some decoders give gray pictures and others none.
        """
        waiting = True
        for packet in packets:
            if waiting and packet.stream.index == self.stream.index:
                time = _time_of(packet)
                if time is not None and time > start:
                    return
                if time is None or not packet.is_keyframe:
                    continue
                waiting = False
            yield packet

    def _demux(self) -> Iterator[av.Packet[Stream]]:
        """Yield all packets, on one continuous clock."""
        for packet in self._continuity.joined(self._readable()):
            time = _time_of(packet)
            if time is not None and not packet.is_discard:
                length = (packet.duration or 0) * (packet.time_base or Fraction(0))
                self._last_seconds = max(self._last_seconds, time + length)
                if packet.stream.type == "audio":
                    self._sound_from.setdefault(packet.stream.index, time)
            yield packet

    def _readable(self) -> Iterator[av.Packet[Stream]]:
        """Yield the packets up to the place where reading ends or fails."""
        packets = self.container.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except IndexError:
                # PyAV gives up at a packet of a track that it did not see at the beginning, and
                # leaves out such packets if it begins anew.
                self._has_late_track = True
                packets = self.container.demux()
                continue
            except (av.FFmpegError, OSError) as error:
                self.unread = reason(error)
                return
            if packet.size:  # PyAV's empty packets only tell a decoder of the end
                refuse_protected(packet, self._name)
                yield packet


def _time_of(packet: av.Packet[Stream]) -> Fraction | None:
    time = packet.pts if packet.pts is not None else packet.dts
    return None if time is None or packet.time_base is None else time * packet.time_base
