"""Frames of a video file, an address or an FFmpeg filter graph, with exact timestamps."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain

import av
from av.stream import Stream

from streamstyle.closeable import Closing
from streamstyle.errors import UserError, reason
from streamstyle.frame import Frame
from streamstyle.media.canvas import Canvas
from streamstyle.media.color import Color, Converter
from streamstyle.media.container import best_video, open_container, span_of
from streamstyle.media.hwaccel import OFF, find_device, is_on_device
from streamstyle.media.timestamps import INTERLEAVE_S, Continuity
from streamstyle.media.tone_mapping import ToneMap
from streamstyle.media.tracks import Tracks
from streamstyle.sources.base import Clip, SourceInfo, VideoFormat

FALLBACK_RATE = Fraction(25)
"""Frames per second of raw streams that state neither timestamps nor a rate."""

MAX_RATE = 240
"""Frames per second above which a stated rate belongs to the clock and not to the picture."""

EARLY_END_S = 1.0
"""Seconds missing from the stated length above which a file was cut off; less is rounding."""


class VideoSource(Closing):
    """One video track, upright, with the other tracks beside it; see `sources.base.Source`."""

    def __init__(
        self,
        location: str,
        clip: Clip = Clip(),
        container_format: str | None = None,
        name: str | None = None,
        low_delay: bool = False,
    ) -> None:
        """Open a video and decode its first frame.

        Args:
            location: What FFmpeg opens: a path, an address, or a filter graph if `container_format`
                is "lavfi".
            clip: The part to take, and how to decode it.
            container_format: FFmpeg's name of the input format; None to detect it.
            name: Display name; None for the last part of the location.
            low_delay: As in `open_video`.

        Raises:
            UserError: If the video cannot be opened, has no frame in the span, or is HDR without
                `tonemap`.
        """
        self.notes: list[str] = []
        self._name = name or location.rpartition("/")[2] or location
        self._damaged = 0
        self._unread: str | None = None  # why the rest could not be read
        self._last_seconds = Fraction(0)  # where the last packet ends
        device, why_not = (None, "") if clip.hwaccel == OFF else find_device(clip.hwaccel)
        self._container = open_container(location, container_format, low_delay, device)
        try:
            live = low_delay and self.stated_seconds is None
            self._stream = best_video(self._container, self._name, live)
            self._base = self._stream.time_base or Fraction(1, 1000)
            self._span = span_of(self._container, clip.start_seconds, clip.duration_seconds)
            self.tracks = Tracks(self._container, self._stream, self._span)
            self._continuity = Continuity(self._stream, self._step)
            self._packets = self._demux()
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise UserError(self._no_picture(location))
            if clip.hwaccel != OFF and not is_on_device(self._stream.codec_context):
                codec = self._stream.codec_context.codec.canonical_name
                why_not = why_not or f"the device cannot decode this {codec}"
                self.notes.append(f"{self._name} was decoded by the processor: {why_not}")
            color = Color.of(first)
            self._tonemap = None
            if color.hdr is not None:
                if not clip.tonemap:
                    raise UserError(
                        f"{self._name} is {color.hdr} video and would come out washed out; "
                        "add --tonemap to paint it in standard range"
                    )
                self._tonemap = ToneMap(first)
                color = self._tonemap.color
            self._frames = chain([first], self._frames)
            self._canvas = Canvas(first, self._stream)
            self.info = self._describe(first, color)
            bits = max(component.bits for component in first.format.components)
            if bits > 8 and self._tonemap is None:
                self.notes.append(f"{self._name} has {bits} bits per color and is painted in 8")
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        self.tracks.drop_unless_taken()
        converter = Converter()
        transparent = False
        for index, frame in enumerate(self._frames):
            transparent = transparent or _is_transparent(frame)
            mapped = self._tonemap(frame) if self._tonemap else frame
            image = self._canvas.upright(converter.to_rgb(mapped, Color.of(mapped)), frame)
            assert frame.pts is not None  # see _decode
            yield Frame(
                image=image,
                index=index,
                pts_seconds=frame.pts * self._base - self._span.zero_seconds,
                duration_seconds=frame.duration * self._base if frame.duration else None,
            )
        if self._canvas.fitted:
            self.notes.append(
                f"{self._canvas.fitted} frames of another shape were fitted into that of the first"
            )
        if transparent:
            self.notes.append(f"the transparency of {self._name} is not kept")
        if self._damaged:
            self.notes.append(
                f"{self._name} is damaged: {self._damaged} places were only decoded in part"
            )
        if self._continuity.jumps:
            self.notes.append(
                f"{self._name} jumps back in time at {self._continuity.jumps} places; its parts "
                "were joined into one continuous video"
            )
        if self._continuity.lost:
            self.notes.append(
                f"{self._continuity.lost} packets of audio or subtitles in {self._name} came too "
                "late and were left out"
            )

    def close(self) -> None:
        self._container.close()

    @property
    def stated_seconds(self) -> Fraction | None:
        """Length that the whole input states; None for a stream, which has no length."""
        duration = self._container.duration
        return Fraction(duration, av.time_base) if duration and duration > 0 else None

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield the frames of the span, each with a later `pts` than the frame before it."""
        step = max(1, round(self._step / self._base))
        end = self._span.end_seconds
        pts = None
        for frame in self._decode_all():
            if frame.pts is None:
                frame.pts = 0 if pts is None else pts + step
            if pts is not None and frame.pts <= pts:
                frame.pts = pts + 1  # no file could hold two frames with the same time
            pts = frame.pts
            seconds = pts * self._base
            if end is not None and seconds >= end:
                self._read_on(end)
                return
            if self._span.holds(seconds):
                yield frame
        self._note_early_end()

    def _decode_all(self) -> Iterator[av.VideoFrame]:
        """Yield all decoded frames, and hand over the packets of other tracks on the way."""
        for packet in self._packets:
            if packet.stream.index == self._stream.index:
                yield from self._decoded(packet)
            else:
                self.tracks.offer(packet)
        yield from self._decoded(None)

    def _decoded(self, packet: av.Packet[Stream] | None) -> Iterator[av.VideoFrame]:
        """Yield the frames that the decoder has after `packet`; None flushes the decoder."""
        try:
            frames = self._stream.codec_context.decode(packet)
        except av.EOFError:
            return
        except av.FFmpegError:  # decoders differ in the type that they raise
            self._damaged += 1
            return
        for frame in frames:
            self._damaged += frame.is_corrupt
            yield frame

    def _read_on(self, end: Fraction) -> None:
        """Hand over the rest of the other tracks' packets up to `end`.

        Some of them are stored after the frame at `end`.
        """
        for packet in self._packets:
            if packet.stream.index != self._stream.index:
                self.tracks.offer(packet)
            time = packet.dts if packet.dts is not None else packet.pts
            if time is not None and time * (packet.time_base or 0) > end + INTERLEAVE_S:
                return

    def _demux(self) -> Iterator[av.Packet[Stream]]:
        """Yield all packets, on one continuous clock."""
        for packet in self._continuity.joined(self._readable()):
            if packet.pts is not None and packet.time_base is not None:
                end = (packet.pts + (packet.duration or 0)) * packet.time_base
                self._last_seconds = max(self._last_seconds, end)
            yield packet

    def _readable(self) -> Iterator[av.Packet[Stream]]:
        """Yield the packets up to the place where reading ends or fails."""
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except (av.FFmpegError, OSError) as error:
                self._unread = reason(error)
                self.notes.append(f"{self._name} could not be read to its end: {self._unread}")
                return
            if packet.size:  # PyAV's empty packets only tell a decoder of the end
                yield packet

    def _no_picture(self, location: str) -> str:
        """Return a sentence that says why there is no picture and what to do."""
        if self._unread is not None:
            advice = ""
            if location.startswith("http"):
                advice = "; if its server can't send parts of a file, download it first"
            return f"{self._name} cannot be read: {self._unread}{advice}"
        problem = f"no picture in {self._name} can be decoded"
        if self._span.start_seconds is self._span.end_seconds is None:
            return problem
        stated = self.stated_seconds
        length = "" if stated is None else f"; the video is {float(stated):.1f} s long"
        return f"{problem} in the time asked for{length}"

    def _note_early_end(self) -> None:
        """Add a note if all tracks stop before the length that the file states."""
        stated = self.stated_seconds
        if stated is None:
            return
        start = Fraction(self._container.start_time or 0, av.time_base)
        missing = start + stated - self._last_seconds
        if missing > EARLY_END_S:
            self.notes.append(
                f"{self._name} ends early: {float(missing):.1f} s of {float(stated):.1f} s "
                "are missing"
            )

    def _describe(self, first: av.VideoFrame, color: Color) -> SourceInfo:
        return SourceInfo(
            name=self._name,
            frames=self._estimated_frames(),
            width=self._canvas.width,
            height=self._canvas.height,
            video=VideoFormat(
                time_base=self._base,
                frame_rate=self._rate,
                sample_aspect_ratio=self._canvas.pixel_aspect,
                color=color,
                chroma=_chroma(first),
            ),
        )

    @property
    def _rate(self) -> Fraction | None:
        """Frames per second; None if unknown."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return rate if rate and rate <= MAX_RATE else None

    @property
    def _step(self) -> Fraction:
        """Duration of a frame that does not state one."""
        return 1 / (self._rate or FALLBACK_RATE)

    def _estimated_frames(self) -> int | None:
        span = self._span
        if span.end_seconds is None and span.zero_seconds == 0 and self._stream.frames:
            return self._stream.frames
        if self._rate is None:
            return None
        end = span.end_seconds
        if self.stated_seconds is not None:
            stated = Fraction(self._container.start_time or 0, av.time_base) + self.stated_seconds
            end = stated if end is None else min(end, stated)
        return None if end is None else max(1, round((end - span.zero_seconds) * self._rate))


def _is_transparent(frame: av.VideoFrame) -> bool:
    """Return whether any pixel is transparent.

    Most videos with an alpha channel have no such pixel.
    """
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool((frame.reformat(format="rgba").to_ndarray()[..., 3] < 255).any())


def _chroma(frame: av.VideoFrame) -> str:
    """Return the color sampling of the pixel format; video stored as RGB counts as 4:2:0."""
    if frame.format.is_rgb or len(frame.format.components) < 3:
        return "420"
    chroma = frame.format.components[1]
    if chroma.height < frame.height:
        return "420"
    return "422" if chroma.width < frame.width else "444"
