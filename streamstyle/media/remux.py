"""Routes for one track into a new file: copied as it is, or re-encoded."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

import io
from dataclasses import dataclass
from itertools import product
from math import inf
from typing import Protocol

import av
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

# MPEG-TS would take any other codec as private data, which no player can play.
_MPEGTS_CODECS = {
    "aac", "ac3", "eac3", "dts", "mp2", "mp3", "opus", "truehd", "dvb_subtitle",
}  # fmt: skip

_TEXT_CODECS = {"ass", "mov_text", "ssa", "subrip", "text", "webvtt"}
_WRITTEN_TEXT_CODECS = ("mov_text", "webvtt", "subrip")

_BITS_PER_CHANNEL = 96_000  # per second; plenty for AAC and Opus


class TrackWriter(Protocol):
    """A way for the packets of one track into the new file."""

    def send(self, packet: av.Packet[Stream]) -> None: ...

    def finish(self) -> None: ...


def find_writer(stream: Stream, output: OutputContainer) -> tuple[TrackWriter | None, str | None]:
    """Return the best writer for `stream` into `output`, and a note for the user.

    The writer is None for a track that is left out. The note is None if there is
    nothing to tell.
    """
    container = output.format.name
    made_here = stream.container.format.name == "lavfi"  # so there is no original to keep
    if not made_here and _holds(container, stream):
        return _Copy(stream, output), None
    if isinstance(stream, AudioStream) and (sound := _closest_sound(stream, output)) is not None:
        note = f"{_name(stream)} re-encoded as {sound}: {container} can't hold it"
        return _EncodeAudio(stream, sound, output), None if made_here else note
    if isinstance(stream, SubtitleStream) and _codec(stream) in _TEXT_CODECS:
        for codec in _WRITTEN_TEXT_CODECS:
            if _holds_codec(container, codec):
                note = f"{_name(stream)} written as {codec}: {container} can't hold it"
                return _EncodeText(stream, codec, output), note
    if stream.type == "data":
        return None, None  # a camera's private data, useless elsewhere
    return None, f"{_name(stream)} left out: {container} can't hold it; .mkv holds everything"


def copy_track_metadata(source: Stream, target: Stream) -> None:
    """Give a new track the language, title and purpose of the old one."""
    target.metadata.update(source.metadata)
    target.disposition = source.disposition


class _Copy:
    """TrackWriter that copies packets bit by bit."""

    def __init__(self, stream: Stream, output: OutputContainer) -> None:
        self._output = output
        self._copy = _add_copy(stream, output)
        copy_track_metadata(stream, self._copy)

    def send(self, packet: av.Packet[Stream]) -> None:
        packet.stream = self._copy
        self._output.mux_one(packet)

    def finish(self) -> None:
        pass


@dataclass(frozen=True)
class _Sound:
    """Codec, sample rate in Hz and channel layout to encode audio in."""

    codec: str
    rate: int
    layout: str

    def add_to(self, output: OutputContainer) -> AudioStream:
        added = output.add_stream(self.codec, rate=self.rate, layout=self.layout)
        assert isinstance(added, AudioStream)
        added.bit_rate = _BITS_PER_CHANNEL * added.channels
        return added

    def __str__(self) -> str:
        return f"{self.codec} ({self.rate} Hz, {AudioLayout(self.layout).name})"


class _EncodeAudio:
    """TrackWriter that re-encodes audio in the container's default codec."""

    def __init__(self, stream: AudioStream, sound: _Sound, output: OutputContainer) -> None:
        self._output = output
        self._decoder = stream.codec_context
        self._encoder = sound.add_to(output)
        self._last_dts = -inf
        self._first: AudioFrame | None = None
        self._other: AudioFrame | None = None
        copy_track_metadata(stream, self._encoder)

    def send(self, packet: av.Packet[Stream] | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:  # a damaged packet becomes a short silence
            return
        for frame in frames:
            for alike in self._alike(frame):
                self._encode(alike)

    def finish(self) -> None:
        self.send(None)
        self._encode(None)

    def _encode(self, frame: AudioFrame | None) -> None:
        for packet in self._encoder.encode(frame):
            assert packet.dts is not None
            if packet.dts > self._last_dts:  # else it overlaps the last packet, as at joins
                self._last_dts = packet.dts
                self._output.mux_one(packet)

    def _alike(self, frame: AudioFrame) -> list[AudioFrame]:
        """Convert a frame to the format, layout and rate of the first frame.

        The encoder accepts no other, but broadcasts change theirs.
        """
        first = self._first = self._first or frame
        if _kind(frame) == _kind(first):
            return [frame]
        if self._other is None or _kind(frame) != _kind(self._other):
            self._other = frame
            self._to_first = av.AudioResampler(first.format, first.layout, first.sample_rate)
        alike = self._to_first.resample(frame)
        for part in alike:
            if part.pts is not None and part.time_base and first.time_base:
                part.pts = round(part.pts * part.time_base / first.time_base)
                part.time_base = first.time_base
        return alike


def _kind(frame: AudioFrame) -> tuple[str, str, int]:
    return frame.format.name, frame.layout.name, frame.sample_rate


class _EncodeText:
    """TrackWriter that re-encodes text subtitles in a codec that the container can hold."""

    def __init__(self, stream: SubtitleStream, codec: str, output: OutputContainer) -> None:
        self._output = output
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)  # else it has no header
        added = output.add_stream(codec)
        assert isinstance(added, SubtitleStream)
        self._encoder = added
        self._encoder.codec_context.subtitle_header = self._decoder.subtitle_header
        copy_track_metadata(stream, self._encoder)

    def send(self, packet: av.Packet[Stream]) -> None:
        try:
            subtitle = self._decoder.decode2(packet)
        except av.FFmpegError:  # a damaged subtitle is left out
            return
        if subtitle is None:
            return
        encoded = self._encoder.codec_context.encode_subtitle(subtitle)
        encoded.pts = encoded.dts = packet.pts
        encoded.duration = packet.duration
        encoded.time_base = packet.time_base
        encoded.stream = self._encoder
        self._output.mux_one(encoded)

    def finish(self) -> None:
        pass


def _name(stream: Stream) -> str:
    kind = {"audio": "audio track", "subtitle": "subtitles", "video": "cover picture"}
    language = f" ({stream.language})" if stream.language not in (None, "und") else ""
    return f"{kind.get(stream.type, stream.type)} {stream.index}{language}, {_codec(stream)},"


def _codec(stream: Stream) -> str:
    return stream.codec_context.codec.canonical_name


def _holds(container: str, stream: Stream) -> bool:
    """Return whether the container takes this track as it is; a trial header shows it."""
    if container == "mpegts":
        return _codec(stream) in _MPEGTS_CODECS
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            _add_copy(stream, trial)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _closest_sound(stream: AudioStream, output: OutputContainer) -> _Sound | None:
    """Return the sample rate and layout closest to the track's in the container's default codec.

    Return None if the container holds no audio.
    """
    codec = output.default_audio_codec
    if codec == "none":
        return None
    rate = stream.codec_context.sample_rate
    rates = av.Codec(codec, "w").audio_rates or [rate]
    higher, lower = (sorted(r for r in rates if (r >= rate) is h) for h in (True, False))
    layouts = (_layout_of(stream), f"{stream.codec_context.channels}c", "5.1", "stereo")
    for layout, hz in product(layouts, (*higher, *reversed(lower))):
        sound = _Sound(codec, hz, layout)
        try:
            with av.open(io.BytesIO(), "w", format=output.format.name) as trial:
                sound.add_to(trial)
                trial.start_encoding()
        except (av.FFmpegError, ValueError):
            continue
        return sound
    return None


def _add_copy(stream: Stream, output: OutputContainer) -> Stream:
    """Add a track that takes the packets of `stream` as they are.

    Raises ValueError or FFmpegError if the container can't hold them.
    """
    copy = output.add_stream_from_template(stream, opaque=True)
    if isinstance(copy, AudioStream) and output.format.name == "mp4":
        copy.codec_context.layout = _layout_of(copy)  # without it, the file can't be finished
    return copy


def _layout_of(stream: AudioStream) -> str:
    """Return the channel layout of a track.

    If the file states none, as for PCM in AVI, it is the usual layout for this number of channels.
    """
    layout = stream.codec_context.layout
    count = layout.nb_channels
    return f"{count}c" if layout.name == f"{count} channels" else layout.name


def _holds_codec(container: str, codec: str) -> bool:
    with av.open(io.BytesIO(), "w", format=container) as trial:
        return codec in trial.supported_codecs
