"""Packets with equal, falling or missing times find a place in every container."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from engines import Engine
from streamstyle import paint_video
from streamstyle.media.muxing import OutputTrack
from tests.helpers.clips import Recipe, make_clip, read_clip


def with_equal_times(clip: Path) -> Path:
    """Write a clip again so that twenty packets of its sound have one time."""
    target = clip.with_name("equal.mkv")
    with av.open(clip) as file, av.open(target, "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in file.streams]
        packets = [packet for packet in file.demux() if packet.size]
        sound = [packet for packet in packets if packet.stream.type == "audio"]
        for packet in sound[11:31]:
            packet.pts = packet.dts = sound[10].pts
        for packet in packets:
            packet.stream = copies[packet.stream.index]
            out.mux_one(packet)
    return target


@pytest.mark.parametrize("to", [".mp4", ".mov", ".m4v", ".mkv", ".ts"])
def test_packets_of_one_time_are_all_kept(tmp_path: Path, inverter: Engine, to: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Recipe(audio_seconds=(1.0,)))
    source = with_equal_times(clip)
    before = read_clip(source)
    assert len({time for time, _ in before.packets[1]}) < len(before.packets[1]) - 15
    report = paint_video(source, tmp_path / f"out{to}", engine=inverter)
    after = read_clip(tmp_path / f"out{to}")
    if to != ".ts":  # it adds a header to each packet
        assert [digest for _, digest in after.packets[1]] == [d for _, d in before.packets[1]]
    start = after.times[0] - before.times[0]
    for (expected, _), (got, _) in zip(before.packets[1], after.packets[1], strict=True):
        assert abs(got - start - expected) < 0.003
    assert report.notes == ()


@pytest.mark.parametrize("to", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("change", ["falling", "missing"])
def test_packets_that_go_back_in_time_or_have_none_are_all_kept(
    tmp_path: Path, change: str, to: str
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Recipe(audio_seconds=(1.0,)))
    with av.open(clip) as file, av.open(tmp_path / f"out{to}", "w") as out:
        copy = out.add_stream_from_template(file.streams.audio[0])
        track = OutputTrack(copy, out)
        out.start_encoding()
        packets = [packet for packet in file.demux(audio=0) if packet.size]
        for packet in packets[10:30:2]:
            late = 3 * packet.duration
            packet.pts = packet.dts = packet.dts - late if change == "falling" else None
        for packet in packets:
            track.mux(packet)
    with av.open(tmp_path / f"out{to}") as file:
        written = [packet for packet in file.demux(audio=0) if packet.size]
        times = [packet.dts * packet.time_base for packet in written]
        assert len(times) == len(packets)
        assert times == sorted(times)
        assert abs(times[-1] - times[0] - Fraction(1024 * (len(times) - 1), 48000)) < 0.002
