"""Sound of many kinds, written into containers that hold only some of them."""

from pathlib import Path

import av
import numpy as np
import pytest

from tests.helpers.clips import Recipe


def heard(path: Path) -> tuple[np.ndarray, int, str]:
    """Return the sum of all channels, the sample rate and the layout of a file's sound."""
    with av.open(path) as file:
        frames = list(file.decode(audio=0))
        to_planes = av.AudioResampler(format="fltp")
        planes = [plane for frame in frames for plane in to_planes.resample(frame)]
    samples = np.concatenate([plane.to_ndarray().sum(axis=0) for plane in planes])
    return samples, frames[0].sample_rate, frames[0].layout.name


def test_pcm_that_says_nothing_of_its_channels(painted, tmp_path: Path) -> None:
    recipe = Recipe(audio_seconds=(1.0,), audio_codec="pcm_s16le")
    _, _, report = painted(recipe, ".mkv", ".mp4")
    before, after = heard(tmp_path / "in.mkv"), heard(tmp_path / "out.mp4")
    assert before[1:] == (48000, "2 channels")
    assert after[1:] == (48000, "stereo")
    assert np.array_equal(before[0], after[0])
    assert report.notes == ()


@pytest.mark.parametrize(
    ("codec", "rate", "layout", "suffix", "to", "expected"),
    [
        ("aac", 44100, "stereo", ".mp4", ".webm", "opus (48000 Hz, stereo)"),
        ("aac", 11025, "mono", ".mp4", ".webm", "opus (12000 Hz, mono)"),
        ("ac3", 48000, "5.1(side)", ".mkv", ".webm", "opus (48000 Hz, 5.1)"),
        ("flac", 48000, "2.1", ".mkv", ".webm", "opus (48000 Hz, 5.1)"),
        ("flac", 192000, "4.0", ".mkv", ".mov", "aac (96000 Hz, 4.0)"),
        ("flac", 48000, "5.1", ".mkv", ".ts", "mp2 (48000 Hz, stereo)"),
        ("pcm_s16le", 22050, "stereo", ".mkv", ".ts", "mp2 (32000 Hz, stereo)"),
        ("pcm_s16le", 44100, "5.1", ".mkv", ".webm", "opus (48000 Hz, 5.1)"),
    ],
)
def test_sound_that_the_encoder_lacks_becomes_the_closest(
    painted,
    tmp_path: Path,
    codec: str,
    rate: int,
    layout: str,
    suffix: str,
    to: str,
    expected: str,
) -> None:
    recipe = Recipe(audio_seconds=(1.0,), audio_codec=codec, audio_rate=rate, audio_layout=layout)
    _, after, report = painted(recipe, suffix, to)
    assert [f"re-encoded as {expected}" in note for note in report.notes] == [True]
    samples, rate, _ = heard(tmp_path / f"out{to}")
    assert len(samples) / rate == pytest.approx(1, abs=0.1)
    crossings = np.count_nonzero(np.diff(np.sign(samples[rate // 5 : rate * 4 // 5])))
    assert crossings == pytest.approx(2 * 440 * 0.6, rel=0.02)  # the pitch is unchanged
    assert abs(after.packets[1][0][0]) < 0.1
