"""What an edit list hides stays hidden, whatever the container of the new file."""

from pathlib import Path

import av
import pytest

from engines import Engine
from streamstyle import paint_video
from tests.helpers.clips import Recipe, make_clip, read_clip


def trimmed(path: Path) -> Path:
    """Write a clip of 2 s whose first second an edit list hides, as phones trim videos."""
    recipe = Recipe(pts=range(50), audio_seconds=(2.0,), options={"g": "25", "bf": "0"})
    clip = make_clip(path.with_name("whole.mp4"), recipe)
    with av.open(clip) as file, av.open(path, "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in file.streams]
        for packet in file.demux():
            if packet.size:
                second = round(1 / packet.time_base)
                packet.pts, packet.dts = packet.pts - second, packet.dts - second
                packet.stream = copies[packet.stream.index]
                out.mux_one(packet)
    return path


@pytest.mark.parametrize("to", [".mp4", ".mov", ".m4v", ".mkv", ".ts", ".webm"])
def test_sound_that_was_trimmed_off_is_not_heard_again(
    tmp_path: Path, inverter: Engine, to: str
) -> None:
    source = trimmed(tmp_path / "in.mp4")
    paint_video(source, tmp_path / f"out{to}", engine=inverter)
    painted = read_clip(tmp_path / f"out{to}")
    assert len(painted.times) == 25
    with av.open(tmp_path / f"out{to}") as file:
        frames = list(file.decode(audio=0))
        start = frames[0].pts * frames[0].time_base
        seconds = sum(frame.samples for frame in frames) / frames[0].sample_rate
    assert start - painted.times[0] == pytest.approx(0, abs=0.03)
    assert seconds == pytest.approx(1, abs=0.05)
    if to != ".ts":  # its clock begins anywhere
        assert 0 <= painted.times[0] < 0.03
