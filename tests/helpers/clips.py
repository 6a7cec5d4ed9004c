"""Write real encoded files for the tests to paint, and read the results back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.reformatter import Interpolation
from numpy.typing import NDArray
from PIL import Image

from streamstyle.system import ordinary_scheduling

EXACT = Interpolation.POINT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without these flags, swscale itself is two levels off."""

BT601, BT709 = 6, 1
LIMITED, FULL = 1, 2

GREEN, RED, BLUE, GREY = (0, 255, 0), (255, 0, 0), (0, 0, 255), (128, 128, 128)


@dataclass
class Recipe:
    """The contents of a clip; by default one second at 25 frames per second."""

    size: tuple[int, int] = (64, 48)
    pts: Sequence[int] = tuple(range(25))
    time_base: Fraction = Fraction(1, 25)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    color: tuple[int, int] | None = None
    """Matrix and range for tags and encoding; None for no tags and the usual matrix of the size."""
    transfer: int | None = None
    pixel_aspect: Fraction | None = None
    rotation: int = 0
    """Degrees counterclockwise that a player has to turn the picture."""
    mirrored: bool = False
    bars: Sequence[tuple[int, int, int]] = ()
    """Colors of vertical bars; empty for a moving gradient."""
    audio_seconds: Sequence[float] = ()
    """Length of the tone in each sound track."""
    audio_codec: str = "aac"
    audio_rate: int = 48000
    audio_layout: str = "stereo"
    audio_bit_rate: int = 0
    """Bits per second; 0 for the encoder's usual rate, which some do not have."""
    subtitles: Sequence[str] = ()
    """Text of the one cue, at 0.2 s, in each subtitle track."""
    subtitle_codec: str = "mov_text"
    chapters: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)


PLAIN = Recipe()


def make_clip(path: Path, recipe: Recipe = PLAIN) -> Path:
    with av.open(path, "w") as output:
        output.metadata.update(recipe.metadata)
        video = output.add_stream(recipe.codec, options=recipe.options)
        context = video.codec_context
        context.width, context.height = recipe.size
        context.pix_fmt = recipe.pixel_format
        context.time_base = video.time_base = recipe.time_base
        matrix, color_range = recipe.color or (_usual_matrix(*recipe.size), LIMITED)
        if recipe.color is not None:
            context.colorspace, context.color_range = matrix, color_range
        if recipe.transfer is not None:
            context.color_trc = recipe.transfer
        if recipe.pixel_aspect is not None:
            context.sample_aspect_ratio = recipe.pixel_aspect
        if recipe.rotation or recipe.mirrored:
            video.set_display_rotation(recipe.rotation, hflip=recipe.mirrored)
        video.metadata["language"] = "fra"
        sounds = [
            output.add_stream(
                recipe.audio_codec,
                rate=recipe.audio_rate,
                layout=recipe.audio_layout,
                bit_rate=recipe.audio_bit_rate,
            )
            for _ in recipe.audio_seconds
        ]
        texts = [output.add_stream(recipe.subtitle_codec) for _ in recipe.subtitles]
        for stream, language in zip((*sounds, *texts), ("eng", "deu") * 4, strict=False):
            stream.metadata["language"] = language
        for stream in texts:
            stream.codec_context.subtitle_header = _SUBTITLE_HEADER
        if recipe.chapters:
            output.set_chapters(
                [
                    {"id": n, "start": 400 * n, "end": 400 * (n + 1),
                     "time_base": Fraction(1, 1000), "metadata": {"title": f"Part {n}"}}
                    for n in range(2)
                ]
            )  # fmt: skip
        with ordinary_scheduling():
            output.start_encoding()
        for index, pts in enumerate(recipe.pts):
            frame = _picture(recipe, index).reformat(
                format=recipe.pixel_format,
                src_color_range=FULL,
                dst_color_range=color_range,
                src_colorspace=matrix,
                dst_colorspace=matrix,
            )
            frame.pts, frame.time_base = pts, recipe.time_base
            output.mux(video.encode(frame))
        output.mux(video.encode(None))
        for stream, seconds in zip(sounds, recipe.audio_seconds, strict=True):
            _encode_tone(output, stream, seconds)
        for stream, text in zip(texts, recipe.subtitles, strict=True):
            _encode_cue(output, stream, text)
    return path


@dataclass
class Contents:
    """The contents of a video file."""

    times: list[Fraction]
    """Time at which each frame is shown, in seconds."""
    frames: list[NDArray[np.uint8]]
    """RGB frames (H, W, 3) as a player that honors the color tags shows them, not rotated."""
    durations: list[Fraction]
    """Duration of each frame, in seconds."""
    tick: Fraction
    packets: dict[int, list[tuple[Fraction, str]]]
    """Times in seconds and digests of the packets of each track other than the video."""
    kinds: list[tuple[str, str, str | None]]
    """Type, codec and language of each track."""
    matrix: int
    color_range: int
    pixel_format: str
    pixel_aspect: Fraction | None
    rotation: int
    metadata: dict[str, str]
    chapters: list[tuple[Fraction, Fraction, str | None]]
    duration: Fraction


def read_clip(path: Path) -> Contents:
    times, durations, frames, packets = [], [], [], {}
    rotation = 0
    with av.open(path) as file:
        video = file.streams.best("video")
        assert video is not None
        for packet in file.demux():
            assert packet.time_base is not None
            if packet.stream.index == video.index:
                for frame in packet.decode():
                    assert frame.pts is not None
                    times.append(frame.pts * packet.time_base)
                    durations.append(frame.duration * packet.time_base)
                    frames.append(_as_shown(frame))
                    rotation, last = frame.rotation, frame
            elif packet.size and packet.stream.type != "data":
                assert packet.pts is not None
                entry = (packet.pts * packet.time_base, hashlib.sha256(bytes(packet)).hexdigest())
                packets.setdefault(packet.stream.index, []).append(entry)
        chapters = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"].get("title"))
            for c in file.chapters()
        ]
        return Contents(
            times=times,
            durations=durations,
            frames=frames,
            tick=video.time_base,
            packets=packets,
            kinds=[
                (s.type, s.codec_context.codec.canonical_name, s.language)
                for s in file.streams
                if s.type != "data"  # MP4 stores chapters in a data track
            ],
            matrix=int(last.colorspace),
            color_range=int(last.color_range),
            pixel_format=last.format.name,
            pixel_aspect=video.sample_aspect_ratio,
            rotation=rotation,
            metadata={key.lower(): value for key, value in file.metadata.items()},
            chapters=chapters,
            duration=Fraction(file.duration or 0, av.time_base),
        )


def _usual_matrix(width: int, height: int) -> int:
    """Return the color matrix that players assume for an untagged video of this size."""
    return BT709 if width >= 1280 or height > 576 else BT601


def _as_shown(frame: av.VideoFrame) -> NDArray[np.uint8]:
    matrix = int(frame.colorspace)
    if matrix in (0, 2):
        matrix = _usual_matrix(frame.width, frame.height)
    color_range = FULL if frame.format.name.startswith("yuvj") else int(frame.color_range)
    return (
        _without_siting(frame)
        .reformat(
            format="rgb24",
            src_colorspace={6: 5}.get(matrix, matrix),
            dst_colorspace={6: 5}.get(matrix, matrix),
            src_color_range=color_range or LIMITED,
            dst_color_range=FULL,
            interpolation=EXACT,
        )
        .to_ndarray()
    )


def _without_siting(frame: av.VideoFrame) -> av.VideoFrame:
    """Return a copy that does not say where chroma lies: codecs differ in that by half a pixel."""
    copy = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for source, target in zip(frame.planes, copy.planes, strict=True):
        rows, copied = (np.asarray(memoryview(p)).reshape(p.height, -1) for p in (source, target))
        width = min(rows.shape[1], copied.shape[1])
        copied[:, :width] = rows[:, :width]
    return copy


def _picture(recipe: Recipe, index: int) -> av.VideoFrame:
    width, height = recipe.size
    image = np.zeros((height, width, 3), np.uint8)
    if recipe.bars:
        for number, color in enumerate(recipe.bars):
            left = width * number // len(recipe.bars)
            image[:, left:] = color
    else:
        image[:, :, 0] = np.linspace(0, 255, width)
        image[:, :, 1] = np.linspace(0, 255, height)[:, None]
        image[:, :, 2] = 10 * index % 256
    return av.VideoFrame.from_ndarray(image, format="rgb24")


def _encode_tone(output: av.container.OutputContainer, stream: av.AudioStream, seconds: float):
    rate = stream.codec_context.sample_rate
    samples = np.arange(round(seconds * rate))
    tone = (0.2 * np.sin(2 * np.pi * 440 * samples / rate)).astype(np.float32)
    for start in range(0, len(tone), 1024):
        chunk = tone[None, start : start + 1024]
        frame = av.AudioFrame.from_ndarray(chunk, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))


_SUBTITLE_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\n"
    b"Style: Default,Arial,16\n\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
)


def _encode_cue(output: av.container.OutputContainer, stream: av.SubtitleStream, text: str):
    cue = av.subtitles.subtitle.SubtitleSet.create(
        text=f"0,0,Default,,0,0,0,,{text}".encode(), start=0, end=500, pts=200_000
    )
    packet = stream.codec_context.encode_subtitle(cue)
    packet.time_base = Fraction(1, 1000)
    packet.pts = packet.dts = 200
    packet.duration = 500
    packet.stream = stream
    output.mux_one(packet)


def write_moving_noise(path: Path, step: int) -> None:
    """Write a clip of noise that moves `step` pixels to the right in each frame.

    The noise is smooth enough for optical flow.
    """
    noise = np.random.default_rng(0).integers(0, 256, (12, 60, 3), np.uint8)
    texture = np.asarray(Image.fromarray(noise).resize((480, 96), Image.Resampling.BICUBIC))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "bgr0"
        for index in range(24):
            view = np.ascontiguousarray(texture[:, 200 - step * index :][:, :128])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, "rgb24")))
        container.mux(stream.encode())


def needs_encoder(encoder: str) -> pytest.MarkDecorator:
    """Skip a test where FFmpeg lacks `encoder`."""
    return pytest.mark.skipif(
        encoder not in av.codecs_available, reason=f"this FFmpeg has no {encoder}"
    )


def gradient() -> av.VideoFrame:
    """Return a frame of 64x48 pixels with a gradient across in red and down in green."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :, 0] = np.linspace(0, 255, 64)
    image[:, :, 1] = np.linspace(0, 255, 48)[:, None]
    image[:, :, 2] = 100
    return av.VideoFrame.from_ndarray(image, format="rgb24")
