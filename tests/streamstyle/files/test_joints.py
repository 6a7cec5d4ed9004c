"""Concatenated recordings, where the clock jumps back from one to the next."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest

from engines import Engine
from streamstyle import Clip, VideoSettings, paint_video
from streamstyle.media.timestamps import Continuity
from tests.helpers.clips import Contents, Recipe, make_clip, read_clip

pytestmark = pytest.mark.slow

FRAME = 3600  # ticks of 1/90000 s


def recordings(folder: Path, lengths: tuple[int, ...], sound: bool) -> tuple[list[Contents], Path]:
    """Return the contents of each recording, and one file of all of them joined."""
    parts = []
    for number, frames in enumerate(lengths):
        recipe = Recipe(
            pts=range(0, FRAME * frames, FRAME),
            time_base=Fraction(1, 90000),
            audio_seconds=(frames / 25,) if sound else (),
        )
        parts.append(make_clip(folder / f"part{number}.ts", recipe))
    joined = folder / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    return [read_clip(part) for part in parts], joined


def test_pictures_go_on_at_their_pace(tmp_path: Path, inverter: Engine) -> None:
    _, source = recordings(tmp_path, (60, 50, 40), sound=False)
    report = paint_video(source, tmp_path / "out.mp4", engine=inverter)
    painted = read_clip(tmp_path / "out.mp4")
    assert painted.times == [Fraction(n, 25) for n in range(150)]
    assert any("jumps back in time at 2 places" in note for note in report.notes)


@pytest.mark.parametrize("start", [Fraction(5, 2), Fraction(4)])
def test_a_start_in_a_later_part_is_found(
    tmp_path: Path, inverter: Engine, start: Fraction
) -> None:
    """FFmpeg takes the file for 2.4 s long and seeks by the clock, which begins anew."""
    _, source = recordings(tmp_path, (60, 50), sound=False)
    settings = VideoSettings(clip=Clip(start, Fraction(1, 5)))
    report = paint_video(source, tmp_path / "out.mp4", engine=inverter, settings=settings)
    assert report.stats.frames == 5


@pytest.mark.parametrize("to", [".mp4", ".mkv", ".ts", ".webm"])
def test_sound_goes_along(tmp_path: Path, inverter: Engine, to: str) -> None:
    (first, second), source = recordings(tmp_path, (60, 50), sound=True)
    paint_video(source, tmp_path / f"out{to}", engine=inverter)
    painted = read_clip(tmp_path / f"out{to}")
    assert len(painted.times) == 110
    times = [time for time, _ in painted.packets[1]]
    assert times == sorted(times)
    if to != ".webm":  # .webm needs the sound re-encoded
        assert len(times) >= len(first.packets[1]) + len(second.packets[1]) - 2
        lead = second.times[-1] - second.packets[1][-1][0]
        assert abs(painted.times[-1] - times[-1] - lead) < 0.001
    assert max(b - a for a, b in pairwise(times)) < 0.06


def test_sound_that_changes_its_kind_is_encoded_as_the_first(
    tmp_path: Path, inverter: Engine
) -> None:
    pts, tick = range(0, FRAME * 50, FRAME), Fraction(1, 90000)
    kinds = (("stereo", 48000), ("mono", 44100), ("stereo", 48000))
    parts = [
        make_clip(tmp_path / "part.ts", Recipe(pts=pts, time_base=tick, audio_seconds=(2.0,),
                  audio_layout=layout, audio_rate=rate)).read_bytes()
        for layout, rate in kinds
    ]  # fmt: skip
    (tmp_path / "in.ts").write_bytes(b"".join(parts))
    paint_video(tmp_path / "in.ts", tmp_path / "out.webm", engine=inverter)
    with av.open(tmp_path / "out.webm") as file:
        frames = [(f.pts * f.time_base, f.samples, f.layout.name) for f in file.decode(audio=0)]
    assert {layout for *_, layout in frames} == {"stereo"}
    assert abs(frames[-1][0] - 6) < 0.1
    assert max(b - a for (a, *_), (b, *_) in pairwise(frames)) < 0.06
    assert abs(sum(samples for _, samples, _ in frames) / 48000 - 6) < 0.1


@pytest.mark.parametrize("places", [-30, -8, 8, 30])
def test_sound_may_be_early_or_late(tmp_path: Path, places: int) -> None:
    """Broadcasts send sound earlier or later than its picture."""
    _, source = recordings(tmp_path, (60, 50), sound=True)
    with av.open(source) as file:
        packets = [packet for packet in file.demux() if packet.size]
        count = sum(packet.stream.type == "audio" for packet in packets)
        order = sorted(
            range(len(packets)),
            key=lambda n: n + (places if packets[n].stream.type == "audio" else 0),
        )
        continuity = Continuity(file.streams.video[0], Fraction(1, 25))
        joined = list(continuity.joined(packets[n] for n in order))
        video, audio = (
            [packet.dts * packet.time_base for packet in joined if packet.stream.type == kind]
            for kind in ("video", "audio")
        )
    assert continuity.jumps == 1
    assert continuity.lost <= 2
    assert len(audio) + continuity.lost == count
    for times in (video, audio):
        assert max(b - a for a, b in pairwise(times)) < 0.07
        assert times == sorted(times)
    assert abs(video[-1] - audio[-1]) < 0.15


def test_sound_that_jumps_alone_is_left_out_until_it_is_back(tmp_path: Path) -> None:
    _, source = recordings(tmp_path, (120,), sound=True)
    with av.open(source) as file:
        packets = [packet for packet in file.demux() if packet.size]
        sound = [packet for packet in packets if packet.stream.type == "audio"]
        for packet in sound[len(sound) // 2 :]:
            packet.dts -= 2 * 90000
        continuity = Continuity(file.streams.video[0], Fraction(1, 25))
        joined = list(continuity.joined(iter(packets)))
        pictures = sum(packet.stream.type == "video" for packet in joined)
    assert continuity.jumps == 0
    assert continuity.lost == len(packets) - len(joined) > 0
    assert pictures == 120
