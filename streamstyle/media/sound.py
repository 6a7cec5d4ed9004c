"""Encode the sound of one track anew, at the same pitch and as long as it was."""

from __future__ import annotations  # PyAV's generic types have no subscript at run time

import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import av
from av.audio.frame import AudioFrame
from av.audio.layout import AudioLayout
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

from streamstyle.media.muxing import OutputTrack, copy_track_metadata

TOLERANCE_S = Fraction(1, 10)
"""Maximum seconds between a sound's stated time and its place in the track.

The times of many files are coarse or jitter, and following them would tear the sound. FFmpeg's
resampler has the same limit.
"""

LONGEST_SILENCE_S = 60
"""Seconds without packets that are filled with silence; a longer gap stays a gap."""

UNHEARD_S = Fraction(3, 10)
"""Seconds that a decoder may keep to itself at the beginning and the end of a track."""

_BITS_PER_CHANNEL = 96_000  # per second; plenty for AAC and Opus


@dataclass(frozen=True)
class Sound:
    """Codec, sample rate in Hz and channel layout to encode audio in."""

    codec: str
    rate: int
    layout: str

    def add_to(self, output: OutputContainer) -> AudioStream:
        """Add an audio track of this kind to a new file."""
        added = output.add_stream(self.codec, rate=self.rate, layout=self.layout)
        assert isinstance(added, AudioStream)
        added.bit_rate = _BITS_PER_CHANNEL * added.channels
        return added

    def __str__(self) -> str:
        return f"{self.codec} ({self.rate} Hz, {AudioLayout(self.layout).name})"


def closest_sound(stream: AudioStream, output: OutputContainer) -> Sound | None:
    """Return the sample rate and layout closest to the track's in the container's default codec.

    Return None if the container holds no audio.
    """
    codec = output.default_audio_codec
    if codec == "none":
        return None
    rate = stream.codec_context.sample_rate
    rates = av.Codec(codec, "w").audio_rates or [rate]
    higher, lower = (sorted(r for r in rates if (r >= rate) is h) for h in (True, False))
    layouts = (layout_of(stream), f"{stream.codec_context.channels}c", "5.1", "stereo")
    for layout, hz in product(layouts, (*higher, *reversed(lower))):
        sound = Sound(codec, hz, layout)
        try:
            with av.open(io.BytesIO(), "w", format=output.format.name) as trial:
                sound.add_to(trial)
                trial.start_encoding()
        except (av.FFmpegError, ValueError):
            continue
        return sound
    return None


def is_known(stream: Stream) -> bool:
    """Return whether FFmpeg knows a track's kind of sound, which a late one may not have shown."""
    if not isinstance(stream, AudioStream) or stream.codec_context is None:
        return True
    return bool(stream.codec_context.sample_rate and stream.codec_context.layout.nb_channels)


def layout_of(stream: AudioStream) -> str:
    """Return the channel layout of a track.

    If the file states none, as for PCM in AVI, it is the usual layout for this number of channels.
    """
    layout = stream.codec_context.layout
    count = layout.nb_channels
    return f"{count}c" if layout.name == f"{count} channels" else layout.name


class EncodedSound:
    """TrackWriter that decodes the packets of a track and encodes them anew.

    The samples count the time: sound with coarse times, or with none, stays whole. Where the
    decoder gives nothing, there is silence.
    """

    def __init__(
        self, stream: AudioStream, sound: Sound, output: OutputContainer, name: str, why: str | None
    ) -> None:
        """Add a track of the kind `sound` to the new file.

        `name` stands for the track in notes. `why` is the note if all is well.
        """
        self._name = name
        self._why = why
        self._decoder = stream.codec_context
        self._encoder = sound.add_to(output)
        self._track = OutputTrack(self._encoder, output)
        copy_track_metadata(stream, self._encoder)
        self._given_s = Fraction(0)  # in the packets
        self._heard_s = Fraction(0)  # made of them by the decoder
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None  # what the resampler takes
        self._start: Fraction | None = None  # when the first sample is heard, in seconds
        self._samples = 0  # written since then
        self._last_stated: Fraction | None = None  # time of the last frame that came with one
        self._skips = False  # sound that comes too early is left out until the times agree
        self._given_end: Fraction | None = None
        self._failed = False

    @property
    def note(self) -> str | None:
        """How the track was encoded, and how much of it is missing."""
        given, missing = float(self._given_s), float(self._missing_s)
        if not given:
            return f"{self._name} has no sound here"
        if not self._heard_s:
            return f"{self._name} is silent: none of its {given:.1f} s can be decoded"
        lost = f"{missing:.2f} s of its {given:.2f} s can't be decoded and are silent"
        if not missing:
            return self._why
        return f"{self._name} is damaged: {lost}" if self._why is None else f"{self._why}; {lost}"

    @property
    def _missing_s(self) -> Fraction:
        missing = self._given_s - self._heard_s
        return missing if missing > (0 if self._failed else UNHEARD_S) else Fraction(0)

    def send(self, packet: av.Packet[Stream]) -> None:
        """Encode the sound of the next packet."""
        end = self._count(packet)
        try:
            frames = self._decoder.decode(packet)
        except av.FFmpegError:
            self._failed = True
            self._reach(end)
            return
        for frame in frames:
            self._add(frame)

    def finish(self) -> None:
        """Encode what the decoder, the resampler and the encoder still hold."""
        try:
            rest = self._decoder.decode(None)
        except av.FFmpegError:
            rest = []
        for frame in rest:
            self._add(frame)
        if self._missing_s and self._given_end is not None:
            self._reach(self._given_end, tolerance=Fraction(0))
        self._encode(self._flushed())
        for packet in self._encoder.encode(None):
            self._track.mux(packet)

    def _count(self, packet: av.Packet[Stream]) -> Fraction:
        """Add a packet to what was given, and return the time at which it ends."""
        base = packet.time_base or Fraction(0)
        time = packet.pts if packet.pts is not None else packet.dts
        last = self._given_end
        begin = time * base if time is not None else last or Fraction(0)
        end = begin + (packet.duration or 0) * base
        if last is None or begin > last + TOLERANCE_S:
            last = begin
        self._given_end = max(last, end)
        if not packet.is_discard:
            self._given_s += self._given_end - last
        return end

    def _add(self, frame: AudioFrame) -> None:
        length = Fraction(frame.samples, frame.sample_rate)
        self._heard_s += length
        time = None
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * frame.time_base
        # Where all packets have one time, as in RealMedia, it says nothing.
        if time is not None and time != self._last_stated:
            self._last_stated = time
            self._reach(time)
            early = self._end - time
            self._skips = early > (length / 2 if self._skips else TOLERANCE_S)
            if self._skips:
                return
        self._encode(self._resampled(frame))

    @property
    def _end(self) -> Fraction:
        """Time at which the sound so far ends, in seconds."""
        assert self._start is not None
        return self._start + Fraction(self._samples, self._encoder.rate)

    def _reach(self, seconds: Fraction, tolerance: Fraction = TOLERANCE_S) -> None:
        """Fill the track with silence up to this time, unless it is there already."""
        if self._start is None:
            self._start = seconds
        gap = seconds - self._end
        if gap > LONGEST_SILENCE_S:
            self._start += gap
        elif gap > tolerance:
            self._encode(self._flushed())
            self._encode(_silence(self._encoder, round(gap * self._encoder.rate)))

    def _resampled(self, frame: AudioFrame) -> list[AudioFrame]:
        """Convert a frame to what the encoder takes; broadcasts change their kind of sound."""
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        tail = []
        if kind != self._kind:
            tail = self._flushed()
            self._kind = kind
            self._resampler = av.AudioResampler(
                self._encoder.format, self._encoder.layout, self._encoder.rate
            )
        assert self._resampler is not None
        frame.pts = None  # the samples count the time
        return tail + self._resampler.resample(frame)

    def _flushed(self) -> list[AudioFrame]:
        """Return the samples that the resampler still holds; the next frame needs a new one."""
        resampler, self._resampler, self._kind = self._resampler, None, None
        rest = resampler.resample(None) if resampler is not None else []
        return [frame for frame in rest if frame is not None]

    def _encode(self, frames: list[AudioFrame] | Iterator[AudioFrame]) -> None:
        for frame in frames:
            if self._start is None:
                self._start = Fraction(0)
            frame.pts = round(self._start * self._encoder.rate) + self._samples
            frame.time_base = Fraction(1, self._encoder.rate)
            self._samples += frame.samples
            for packet in self._encoder.encode(frame):
                self._track.mux(packet)


def _silence(encoder: AudioStream, samples: int) -> Iterator[AudioFrame]:
    """Yield frames of at most a second, so that a long silence takes little memory."""
    zero = b"\x80" if encoder.format.name.startswith("u8") else b"\0"
    for start in range(0, samples, encoder.rate):
        count = min(encoder.rate, samples - start)
        frame = AudioFrame(encoder.format.name, encoder.layout.name, count)
        frame.sample_rate = encoder.rate
        for plane in frame.planes:
            plane.update(zero * plane.buffer_size)
        yield frame
