"""Tracks without a decoder are copied or said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from engines import Engine
from streamstyle import paint_video
from tests.helpers.clips import Recipe, make_clip
from tests.helpers.extras import make_rich


def test_telemetry_stays_or_is_said(tmp_path: Path, inverter: Engine) -> None:
    source = make_rich(tmp_path / "in.ts")
    paint_video(source, tmp_path / "out.ts", engine=inverter)
    assert _data(tmp_path / "out.ts") == _data(source) != []
    report = paint_video(source, tmp_path / "out.mkv", engine=inverter)
    assert "left out: data track 2 (klv); FFmpeg can't copy them into matroska" in report.notes


def test_track_in_an_unknown_codec_is_said(tmp_path: Path, inverter: Engine) -> None:
    clip = make_clip(tmp_path / "clip.mov", Recipe(audio_seconds=(1.0,)))
    source = tmp_path / "in.mov"
    source.write_bytes(clip.read_bytes().replace(b"mp4a", b"apac").replace(b"esds", b"dapa"))
    report = paint_video(source, tmp_path / "out.mov", engine=inverter)
    assert report.notes == (
        "left out: audio track 1 (no decoder); FFmpeg can't copy them into mov",
    )


def _data(path: Path) -> list[tuple[Fraction, bytes]]:
    """Return the packets of the data track, and their times after that of the first picture."""
    with av.open(path) as file:
        video, data = file.streams.video[0], file.streams.data[0]
        start = video.start_time * video.time_base
        return [
            (packet.pts * packet.time_base - start, bytes(packet))
            for packet in file.demux(data)
            if packet.size
        ]
