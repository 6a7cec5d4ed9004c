"""Captions stay with their pictures, and other data in the pictures is not lost in silence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.sidedata.sidedata import Type

from engines import Engine
from streamstyle import Clip, Encoding, VideoSettings, paint_video
from tests.helpers.clips import Recipe, make_clip, needs_encoder
from tests.helpers.extras import write_picture


@pytest.mark.parametrize(
    ("encoding", "suffix", "kept"),
    [
        (Encoding(), ".mp4", True),
        (Encoding(), ".mkv", True),
        (Encoding(), ".ts", True),
        pytest.param(Encoding("hevc"), ".mp4", True, marks=needs_encoder("libx265")),
        pytest.param(Encoding("vp9"), ".mkv", False, marks=needs_encoder("libvpx-vp9")),
        (Encoding(), ".gif", False),
    ],
)
def test_captions_stay_with_their_pictures_where_the_encoder_writes_them(
    tmp_path: Path, inverter: Engine, encoding: Encoding, suffix: str, kept: bool
) -> None:
    source, target = _make_captioned(tmp_path / "in.ts"), tmp_path / f"out{suffix}"
    clip = Clip(start_seconds=Fraction(1, 5))
    settings = VideoSettings(clip=clip, encoding=encoding)
    report = paint_video(source, target, engine=inverter, settings=settings)
    before, after = _captions(source)[5:], _captions(target)
    assert len(set(before)) == len(before) == 20
    assert after == (before if kept else [None] * len(before))
    assert any("not kept: closed captions" in note for note in report.notes) != kept


def test_captions_change_nothing_else(tmp_path: Path, inverter: Engine) -> None:
    written = []
    for name, has_captions in (("with", True), ("without", False)):
        source = _make_captioned(tmp_path / f"{name}.ts", has_captions)
        paint_video(source, tmp_path / f"{name}.mkv", engine=inverter)
        with av.open(tmp_path / f"{name}.mkv") as file:
            written.append(list(file.decode(video=0)))
    for one, other in zip(*written, strict=True):
        assert np.array_equal(one.to_ndarray(), other.to_ndarray())
        assert (one.pts, one.duration, one.key_frame) == (
            other.pts,
            other.duration,
            other.key_frame,
        )


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_that_the_decoder_leaves_out_is_said(
    tmp_path: Path, inverter: Engine, codec: str
) -> None:
    source, target = tmp_path / "in.webm", tmp_path / "out.webm"
    with av.open(source, "w") as file:
        write_picture(file, [codec], {"alpha_mode": "1"}, "yuva420p", {"auto-alt-ref": "0"})
    report = paint_video(source, target, engine=inverter)
    assert report.notes == ("the transparency of in.webm is not kept",)
    with av.open(target) as file:  # a player would look for the alpha channel
        assert "alpha_mode" not in {key.lower() for key in file.streams.video[0].metadata}


@pytest.mark.parametrize(("suffix", "kept"), [(".mkv", True), (".webm", True), (".mp4", False)])
def test_mark_of_a_3d_video(tmp_path: Path, inverter: Engine, suffix: str, kept: bool) -> None:
    source, target = tmp_path / "in.mkv", tmp_path / f"out{suffix}"
    with av.open(source, "w") as file:
        write_picture(file, ["mpeg4"], {"stereo_mode": "left_right"})
    report = paint_video(source, target, engine=inverter)
    with av.open(target) as file:
        kinds = [data.type for data in next(file.decode(video=0)).side_data]
    assert (Type.STEREO3D in kinds) == kept
    assert report.notes == (() if kept else ("not kept: the mark of a 3D video",))


def test_mark_of_a_360_degree_video_is_said(tmp_path: Path, inverter: Engine) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    source = tmp_path / "in.mp4"
    source.write_bytes(_with_sphere(clip.read_bytes()))
    report = paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert report.notes == ("not kept: the mark of a 360° video",)


def _make_captioned(path: Path, has_captions: bool = True) -> Path:
    """Write H.264 with an SEI message of captions (ATSC A/53) before each picture."""
    with av.open(path, "w") as file:
        video = file.add_stream("libx264", 25, options={"bf": "0", "aud": "0"})
        video.width, video.height, video.pix_fmt = 96, 72, "yuv420p"
        for index in range(25):
            picture = av.VideoFrame(96, 72, "yuv420p")
            for plane in picture.planes:
                plane.update(bytes([5 * index + 60]) * plane.buffer_size)
            picture.pts = index
            for packet in video.encode(picture):
                file.mux(_captioned(packet, index) if has_captions else packet)
        file.mux(
            _captioned(packet, packet.pts) if has_captions else packet
            for packet in video.encode(None)
        )
    return path


def _captioned(packet: av.Packet, index: int) -> av.Packet:
    text = bytes([0xFC, 0x20 + index, 0x41])  # two letters on line 21
    payload = b"\xb5\x00\x31GA94\x03\x41\xff" + text + b"\xff"
    sei = b"\x00\x00\x00\x01\x06\x04" + bytes([len(payload)]) + payload + b"\x80"
    captioned = av.Packet(sei + bytes(packet))
    captioned.stream, captioned.time_base = packet.stream, packet.time_base
    captioned.pts, captioned.dts = packet.pts, packet.dts
    return captioned


def _captions(path: Path) -> list[bytes | None]:
    with av.open(path) as file:
        return [
            next((bytes(data) for data in frame.side_data if data.type == Type.A53_CC), None)
            for frame in file.decode(video=0)
        ]


def _with_sphere(file: bytes) -> bytes:
    """Append a box to the one track of an MP4 that marks a 360° video (Google's version 1)."""
    xml = (
        b'<?xml version="1.0"?><rdf:SphericalVideo xmlns:GSpherical="x">'
        b"<GSpherical:StitchingSoftware>any</GSpherical:StitchingSoftware>"
        b"<GSpherical:Spherical>true</GSpherical:Spherical>"
        b"<GSpherical:Stitched>true</GSpherical:Stitched>"
        b"<GSpherical:ProjectionType>equirectangular</GSpherical:ProjectionType>"
        b"</rdf:SphericalVideo>"
    )
    body = bytes.fromhex("ffcc8263f8554a938814587a02521fdd") + xml
    box = (len(body) + 8).to_bytes(4, "big") + b"uuid" + body
    end = 0
    for kind in (b"moov", b"trak"):
        start = file.index(kind) - 4
        size = int.from_bytes(file[start : start + 4], "big")
        end = start + size
        file = file[:start] + (size + len(box)).to_bytes(4, "big") + file[start + 4 :]
    return file[:end] + box + file[end:]


def test_data_of_a_kind_that_pyav_does_not_know(tmp_path: Path, inverter: Engine) -> None:
    """FFmpeg 8 gives the tags of TIFF and JPEG pictures as EXIF data, number 31."""
    source = make_clip(tmp_path / "in.mov", Recipe(codec="tiff", pixel_format="rgb24"))
    report = paint_video(source, tmp_path / "out.mkv", engine=inverter)
    assert report.stats.frames == 25
    assert report.notes == ("not kept: the EXIF data of the pictures",)
