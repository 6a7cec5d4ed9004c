"""One continuous clock for a file whose own clock jumps back, as in joined recordings."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections.abc import Iterator
from fractions import Fraction

import av
from av.stream import Stream

from streamstyle.media.tracks import is_cover

JUMP_S = 1
"""Jumps back by more seconds start another recording; smaller ones are disorder within one."""

INTERLEAVE_S = 2
"""Maximum seconds between a picture and the audio that is stored next to it."""


class BestEffort:
    """The time of each frame of a video, as FFmpeg's players find it.

    Some files state the order of decoding in place of the time, so that frames go back in time.
    Others have no time but that of decoding. PyAV does not pass on what FFmpeg makes of them.
    """

    def __init__(self) -> None:
        self._last_pts: int | None = None
        self._last_dts: int | None = None
        self._faulty_pts = 0
        self._faulty_dts = 0

    def pts(self, frame: av.VideoFrame) -> int | None:
        """Return the more plausible time of the next frame, in ticks; None if it has none."""
        pts, dts = frame.pts, frame.dts
        if dts is not None:
            self._faulty_dts += self._last_dts is not None and dts <= self._last_dts
        if pts is not None:
            self._faulty_pts += self._last_pts is not None and pts <= self._last_pts
        self._last_dts = pts if dts is None else dts
        self._last_pts = dts if pts is None else pts
        if pts is not None and (dts is None or self._faulty_pts <= self._faulty_dts):
            return pts
        return dts


class Continuity:
    """Moves timestamps so that each recording begins where the picture before it ended."""

    def __init__(self, painted: Stream, step_seconds: Fraction) -> None:
        """Follow the clock of the painted track.

        A jump counts for all tracks only if `painted` makes it too. `step_seconds` is the duration
        of a picture that does not state one.
        """
        self.jumps = 0
        """Number of places where the clock jumps back."""
        self.lost = 0
        """Packets of other tracks left out because they would go back in time on their track."""
        self._painted = painted.index
        self._step = step_seconds
        # Added to the file's times: now, and before the last jump.
        self._offset = self._offset_before = Fraction(0)
        self._jumped_at = Fraction(0)  # time of the last jump on the continuous clock
        self._end = Fraction(0)  # end of the latest picture
        self._last: dict[int, Fraction] = {}  # latest dts of each track, in seconds
        self._early: list[av.Packet[Stream]] = []  # after a jump that the picture has yet to make

    def joined(self, packets: Iterator[av.Packet[Stream]]) -> Iterator[av.Packet[Stream]]:
        """Yield the same packets, on the continuous clock."""
        for packet in packets:
            if is_cover(packet.stream):
                yield packet
            elif packet.dts is None or packet.is_discard:  # hidden: it has no place on the clock
                _move(packet, self._offset)
                yield packet
            elif packet.stream.index == self._painted:
                jumps = self._goes_back(packet, self._offset)
                if jumps:
                    self._jump(packet)
                yield from self._placed(packet, self._offset)
                length = (packet.duration or 0) * (packet.time_base or Fraction(0))
                self._end = max(self._end, _seconds(packet) + (length or self._step))
                if jumps:
                    for early in self._early:
                        yield from self._placed(early, self._offset)
                    self._early.clear()
            else:
                offset = self._offset_for(packet)
                if self._goes_back(packet, offset):
                    self._hold(packet)
                else:
                    yield from self._placed(packet, offset)
        self.lost += len(self._early)

    def _goes_back(self, packet: av.Packet[Stream], offset: Fraction) -> bool:
        last = self._last.get(packet.stream.index)
        return last is not None and _decoded_at(packet) + offset < last - JUMP_S

    def _jump(self, packet: av.Packet[Stream]) -> None:
        self.jumps += 1
        self._jumped_at = self._end
        self._offset_before, self._offset = self._offset, self._end - _seconds(packet)

    def _offset_for(self, packet: av.Packet[Stream]) -> Fraction:
        """Return the offset to add to a packet of another track.

        After a jump of the picture, late packets from before the jump still come.
        """
        if self._end < self._jumped_at + INTERLEAVE_S:
            time = _decoded_at(packet)
            return min(
                (self._offset, self._offset_before),
                key=lambda offset: abs(time + offset - self._end),
            )
        return self._offset

    def _hold(self, packet: av.Packet[Stream]) -> None:
        """Keep a packet until the picture jumps too.

        If the picture has not jumped after INTERLEAVE_S, it will not.
        """
        first = self._early[0] if self._early else packet
        if _decoded_at(packet) > _decoded_at(first) + INTERLEAVE_S:
            self.lost += len(self._early)
            self._early.clear()
        self._early.append(packet)

    def _placed(self, packet: av.Packet[Stream], offset: Fraction) -> Iterator[av.Packet[Stream]]:
        """Yield the packet with its times moved by `offset`.

        Where two recordings are joined, sound of both may be left for the same time. The later one
        is left out.
        """
        _move(packet, offset)
        index, at = packet.stream.index, _decoded_at(packet)
        if self.jumps and index != self._painted and at < self._last.get(index, at):
            self.lost += 1
            return
        self._last[index] = at
        yield packet


def _move(packet: av.Packet[Stream], offset: Fraction) -> None:
    assert packet.time_base is not None
    ticks = round(offset / packet.time_base)
    if packet.dts is not None:
        packet.dts += ticks
    if packet.pts is not None:
        packet.pts += ticks


def _seconds(packet: av.Packet[Stream]) -> Fraction:
    """Return the time at which a packet is shown."""
    time = packet.pts if packet.pts is not None else packet.dts
    assert time is not None
    return time * (packet.time_base or Fraction(0))


def _decoded_at(packet: av.Packet[Stream]) -> Fraction:
    assert packet.dts is not None
    return packet.dts * (packet.time_base or Fraction(0))
