"""Routes for one track into a new file: copied as it is, or re-encoded."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

import io
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from streamstyle.media.bare_tracks import add_bare_copy, holds_bare
from streamstyle.media.muxing import OutputTrack, copy_track_metadata
from streamstyle.media.sound import EncodedSound, closest_sound, is_known, layout_of

# MPEG-TS would take any other codec as private data, which no player can play.
_MPEGTS_CODECS = {
    "aac", "ac3", "eac3", "dts", "mp2", "mp3", "opus", "truehd", "dvb_subtitle",
}  # fmt: skip

_TEXT_CODECS = {"ass", "mov_text", "ssa", "subrip", "text", "webvtt"}
_WRITTEN_TEXT_CODECS = ("mov_text", "webvtt", "subrip")

_EDITABLE = {"mp4", "mov", "ipod"}  # their edit lists hide what lies before the time 0


class TrackWriter(Protocol):
    """A way for the packets of one track into the new file."""

    @property
    def note(self) -> str | None:
        """What the user should know of the track; None if it is as it was."""

    def send(self, packet: av.Packet[Stream]) -> None: ...

    def finish(self) -> None: ...


def find_writer(stream: Stream, output: OutputContainer) -> TrackWriter:
    """Return the best writer for `stream` into `output`; it leaves out what nothing can hold."""
    container = output.format.name
    made_here = stream.container.format.name == "lavfi"  # so there is no original to keep
    if isinstance(stream, AudioStream) and not is_known(stream):
        return LeftOut(f"{_name(stream)} left out: there is no sound at the beginning of the file")
    if not made_here and _holds(container, stream):
        return _Copy(stream, output)
    if isinstance(stream, AudioStream) and (sound := closest_sound(stream, output)) is not None:
        note = f"{_name(stream)} re-encoded as {sound}: {container} can't hold it"
        return EncodedSound(stream, sound, output, _name(stream), None if made_here else note)
    if isinstance(stream, SubtitleStream) and _codec(stream) in _TEXT_CODECS:
        for codec in _WRITTEN_TEXT_CODECS:
            if _holds_codec(container, codec):
                return _EncodeText(stream, codec, output)
    return LeftOut(f"{_name(stream)} left out: {container} can't hold it; .mkv holds everything")


class LeftOut:
    """TrackWriter that writes nothing."""

    def __init__(self, note: str) -> None:
        self.note = note

    def send(self, packet: av.Packet[Stream]) -> None:
        pass

    def finish(self) -> None:
        pass


class _Copy:
    """TrackWriter that copies packets bit by bit."""

    note = None

    def __init__(self, stream: Stream, output: OutputContainer) -> None:
        copy = _add_copy(stream, output)
        copy_track_metadata(stream, copy)
        self._track = OutputTrack(copy, output)
        self._hides_early = output.format.name in _EDITABLE

    def send(self, packet: av.Packet[Stream]) -> None:
        # Players hide a packet to discard. Before the time 0, it helps decoders to start.
        is_early = packet.dts is not None and packet.dts < 0
        if not packet.is_discard or (is_early and self._hides_early):
            self._track.mux(packet)

    def finish(self) -> None:
        pass


class _EncodeText:
    """TrackWriter that re-encodes text subtitles in a codec that the container can hold."""

    def __init__(self, stream: SubtitleStream, codec: str, output: OutputContainer) -> None:
        self.note = f"{_name(stream)} written as {codec}: {output.format.name} can't hold it"
        self._decoder = stream.codec_context
        self._decoder.open(strict=False)  # else it has no header
        added = output.add_stream(codec)
        assert isinstance(added, SubtitleStream)
        self._encoder = added
        self._encoder.codec_context.subtitle_header = self._decoder.subtitle_header
        copy_track_metadata(stream, self._encoder)
        self._track = OutputTrack(self._encoder, output)

    def send(self, packet: av.Packet[Stream]) -> None:
        if packet.is_discard:
            return
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
        self._track.mux(encoded)

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
    if stream.codec_context is None:
        return holds_bare(container, stream)
    if container == "mpegts":
        return _codec(stream) in _MPEGTS_CODECS
    try:
        with av.open(io.BytesIO(), "w", format=container) as trial:
            _add_copy(stream, trial)
            trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _add_copy(stream: Stream, output: OutputContainer) -> Stream:
    """Add a track that takes the packets of `stream` as they are.

    Raises ValueError or FFmpegError if the container can't hold them.
    """
    if stream.codec_context is None:
        return add_bare_copy(stream, output)
    copy = output.add_stream_from_template(stream, opaque=True)
    if isinstance(copy, AudioStream) and output.format.name == "mp4":
        copy.codec_context.layout = layout_of(copy)  # without it, the file can't be finished
    return copy


def _holds_codec(container: str, codec: str) -> bool:
    with av.open(io.BytesIO(), "w", format=container) as trial:
        return codec in trial.supported_codecs
