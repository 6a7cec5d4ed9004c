"""Sound that is encoded anew is as long as before, or a note says what it lacks."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from engines import Engine
from streamstyle import paint_video
from tests.helpers.clips import Recipe, make_clip, needs_encoder, read_clip

WINDOWS_MEDIA = Recipe(
    codec="wmv2",
    pts=range(50),
    audio_codec="wmav2",
    audio_rate=44100,
    audio_bit_rate=128_000,
    audio_seconds=(2.0,),
)


def heard(path: Path) -> tuple[np.ndarray, int, Fraction]:
    """Return the samples, their rate and the time of the first one."""
    with av.open(path) as file:
        frames = list(file.decode(audio=0))
        first = frames[0].pts * frames[0].time_base
        to_mono = av.AudioResampler(format="flt", layout="mono")
        parts = [part.to_ndarray()[0] for frame in frames for part in to_mono.resample(frame)]
    return np.concatenate(parts), frames[0].sample_rate, first


def seconds_of(path: Path) -> float:
    samples, rate, _ = heard(path)
    return len(samples) / rate


def pitch(samples: np.ndarray, rate: int) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples)))) * rate / len(samples)


def with_damaged_sound(clip: Path, start: int, stop: int | None) -> Path:
    """Write a clip again with packets of its sound replaced by noise."""
    noise = np.random.default_rng(0)
    target = clip.with_name(f"damaged{clip.suffix}")
    with av.open(clip) as file, av.open(target, "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in file.streams]
        packets = [packet for packet in file.demux() if packet.size]
        sound = [packet for packet in packets if packet.stream.type == "audio"]
        damaged = {id(packet) for packet in sound[start:stop]}
        for packet in packets:
            copy = packet
            if id(packet) in damaged:
                copy = av.Packet(noise.integers(0, 256, packet.size, np.uint8).tobytes())
                copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
                copy.time_base = packet.time_base
            copy.stream = copies[packet.stream.index]
            out.mux_one(copy)
    return target


@pytest.mark.parametrize("to", [".mp4", ".mkv", ".webm", ".ts"])
@pytest.mark.parametrize("codec", ["wmav1", "wmav2"])
def test_windows_media(painted, tmp_path: Path, codec: str, to: str) -> None:
    """Its decoder holds sound back, and gives the rest at the end without a time."""
    _, _, report = painted(replace(WINDOWS_MEDIA, audio_codec=codec), ".wmv", to)
    assert [f"{codec}, re-encoded as" in note for note in report.notes] == [True]
    samples, rate, first = heard(tmp_path / f"out{to}")
    assert len(samples) / rate == pytest.approx(2, abs=0.1)
    assert pitch(samples, rate) == pytest.approx(440, abs=1)
    with av.open(tmp_path / f"out{to}") as file:
        assert abs(first - file.streams.video[0].start_time * file.streams.video[0].time_base) < 0.2


def test_coarse_times_do_not_tear_the_sound(painted, tmp_path: Path) -> None:
    """Matroska counts milliseconds, and a packet of FLAC at 44.1 kHz is no whole number of them."""
    recipe = Recipe(audio_codec="flac", audio_rate=44100, audio_seconds=(1.0,))
    painted(recipe, ".mkv", ".ts")
    samples, rate, _ = heard(tmp_path / "out.ts")
    middle = samples[rate // 5 : rate * 4 // 5]
    assert np.abs(np.diff(middle)).max() < 0.03  # a sine of 440 Hz has no steeper place


def test_damaged_sound_becomes_silence_of_the_same_length(tmp_path: Path, inverter: Engine) -> None:
    recipe = Recipe(pts=range(50), audio_codec="flac", audio_seconds=(2.0,))
    source = with_damaged_sound(make_clip(tmp_path / "in.mkv", recipe), 5, 12)
    report = paint_video(source, tmp_path / "out.webm", engine=inverter)
    [note] = report.notes
    assert "re-encoded as opus" in note
    assert "s of its 2.00 s can't be decoded and are silent" in note
    samples, rate, first = heard(tmp_path / "out.webm")
    assert first + Fraction(len(samples), rate) == pytest.approx(2, abs=0.05)
    assert np.abs(samples[-rate // 2 : -rate // 4]).max() > 0.1


@pytest.mark.parametrize("to", [".webm", ".ts"])
def test_sound_that_cannot_be_decoded_is_silent_and_said(
    tmp_path: Path, inverter: Engine, to: str
) -> None:
    recipe = Recipe(pts=range(50), audio_codec="flac", audio_seconds=(2.0,))
    source = with_damaged_sound(make_clip(tmp_path / "in.mkv", recipe), 0, None)
    report = paint_video(source, tmp_path / f"out{to}", engine=inverter)
    assert len(report.notes) == 1
    assert "is silent: none of its 1.9 s can be decoded" in report.notes[0]
    samples, rate, _ = heard(tmp_path / f"out{to}")
    assert len(samples) / rate == pytest.approx(2, abs=0.1)


def late_sound(path: Path) -> Path:
    """Write 12 s of video whose sound begins after 11 s."""
    recipe = Recipe(pts=range(0, 60), time_base=Fraction(1, 5), audio_seconds=(1.0,))
    clip = make_clip(path.with_name("clip.mp4"), recipe)
    with av.open(clip) as file, av.open(path, "w") as out:
        copies = [out.add_stream_from_template(stream) for stream in file.streams]
        packets = [packet for packet in file.demux() if packet.size]
        for packet in packets:
            if packet.stream.type == "audio":
                packet.pts += 11 * 48000
                packet.dts += 11 * 48000
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = copies[packet.stream.index]
            out.mux_one(packet)
    clip.unlink()
    return path


@pytest.mark.parametrize("to", [".mp4", ".mkv", ".ts", ".webm"])
def test_sound_that_begins_late(tmp_path: Path, inverter: Engine, to: str) -> None:
    source = late_sound(tmp_path / "in.ts")
    paint_video(source, tmp_path / f"out{to}", engine=inverter)
    samples, rate, first = heard(tmp_path / f"out{to}")
    assert rate == 48000
    assert len(samples) / rate == pytest.approx(1, abs=0.1)
    assert pitch(samples, rate) == pytest.approx(440, abs=2)
    assert first - read_clip(tmp_path / f"out{to}").times[0] == pytest.approx(11, abs=0.1)


@pytest.mark.parametrize("to", [".mp4", ".ts"])
def test_sound_that_is_announced_and_never_comes(tmp_path: Path, inverter: Engine, to: str) -> None:
    whole = make_clip(tmp_path / "whole.ts", Recipe(audio_seconds=(1.0,))).read_bytes()
    packets = [whole[at : at + 188] for at in range(0, len(whole), 188)]
    source = tmp_path / "in.ts"
    sound = 0x101  # the ID that FFmpeg gives to the second track
    source.write_bytes(
        b"".join(packet for packet in packets if (packet[1] & 31) << 8 | packet[2] != sound)
    )
    report = paint_video(source, tmp_path / f"out{to}", engine=inverter)
    assert ["there is no sound at the beginning of the file" in note for note in report.notes] == [
        True
    ]
    assert [kind for kind, *_ in read_clip(tmp_path / f"out{to}").kinds] == ["video"]


@needs_encoder("real_144")
def test_packets_that_all_have_one_time_follow_one_another(
    tmp_path: Path, inverter: Engine
) -> None:
    recipe = Recipe(
        size=(176, 144),
        pts=range(50),
        codec="rv10",
        audio_seconds=(2.0,),
        audio_codec="real_144",
        audio_rate=8000,
        audio_layout="mono",
    )
    source = make_clip(tmp_path / "in.rm", recipe)
    with av.open(source) as file:
        assert {packet.pts for packet in file.demux(audio=0) if packet.size} == {0}
    paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert abs(seconds_of(tmp_path / "out.mp4") - 2) < 0.15


def test_last_packet_of_a_copied_track_stays(tmp_path: Path, inverter: Engine) -> None:
    """AVI states no durations, and MP4 hides a packet that has none."""
    recipe = Recipe(pts=range(50), codec="mpeg4", audio_seconds=(2.0,), audio_codec="flac")
    source = make_clip(tmp_path / "in.avi", recipe)
    paint_video(source, tmp_path / "out.mp4", engine=inverter)
    assert seconds_of(tmp_path / "out.mp4") == seconds_of(source) == 2
