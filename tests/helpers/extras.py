"""Write clips with much beside picture, sound and subtitles."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition
from PIL import Image


def make_rich(path: Path) -> Path:
    """Write a clip with all that PyAV can put beside picture, sound and subtitles."""
    kind = path.suffix[1:]
    matroska = kind in ("mkv", "webm")
    codecs = {"webm": ["libvpx", "libopus"], "ogv": ["libvpx", "libopus"]}
    with av.open(path, "w") as file:
        file.metadata.update(
            {"title": "My film", "artist": "Somebody", "comment": "A comment", "date": "2024-05-06",
             "description": "Some words", "track": "3/7", "creation_time": "2024-05-06T07:08:09Z"}
        )  # fmt: skip
        file.set_chapters(
            [
                {"id": n, "start": 400 * n, "end": 400 * (n + 1), "time_base": Fraction(1, 1000),
                 "metadata": {"title": f"Part {n}"}}
                for n in range(2)
            ]
        )  # fmt: skip
        if kind == "mkv":
            file.add_attachment("letters.ttf", "application/x-truetype-font", b"not really a font")
            cover = io.BytesIO()
            Image.new("RGB", (32, 32), "red").save(cover, "JPEG")
            file.add_attachment("cover.jpg", "image/jpeg", cover.getvalue())
        write_picture(
            file,
            codecs.get(kind, ["libx264", "aac"]),
            {"title": "Painted track", "language": "fra"} if matroska or kind == "mp4" else {},
            telemetry=kind == "ts",
        )
    return path


def write_picture(
    file: av.container.OutputContainer,
    codecs: list[str],
    tags: dict[str, str] | None = None,
    pixel_format: str = "yuv420p",
    options: dict[str, str] | None = None,
    telemetry: bool = False,
) -> None:
    """Write a second of picture, and of sound if `codecs` has one for it."""
    video = file.add_stream(codecs[0], 25, options=options or {})
    video.width, video.height, video.pix_fmt = 96, 72, pixel_format
    video.metadata.update(tags or {})
    sounds = [file.add_stream(codec, 48000, layout="mono") for codec in codecs[1:]]
    for sound in sounds:
        sound.metadata.update({"language": "ita", "title": "Director speaks"})
        sound.disposition = Disposition.comment | Disposition.hearing_impaired
    data = [file.add_data_stream("klv")] if telemetry else []
    for index in range(25):
        picture = av.VideoFrame(96, 72, pixel_format)
        for plane in picture.planes:
            plane.update(bytes([5 * index + 60]) * plane.buffer_size)
        picture.pts = index
        file.mux(video.encode(picture))
        for stream in data:
            packet = av.Packet(b"telemetry %d" % index)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = index
            file.mux(packet)
    file.mux(video.encode(None))
    for sound in sounds:
        for start in range(0, 48000, 960):
            silence = av.AudioFrame.from_ndarray(
                np.zeros((1, 960), np.float32), format="fltp", layout="mono"
            )
            silence.sample_rate, silence.pts = 48000, start
            file.mux(sound.encode(silence))
        file.mux(sound.encode(None))
