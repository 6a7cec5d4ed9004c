"""Sound of all kinds, into containers that take only some."""

from pathlib import Path

import av
import numpy as np

from tests.clips import Recipe


def heard(path: Path) -> tuple[np.ndarray, int, str]:
    """The first channel's samples, the rate and the layout of a file's sound."""
    with av.open(path) as file:
        frames = list(file.decode(audio=0))
        to_planes = av.AudioResampler(format="fltp")
        planes = [plane for frame in frames for plane in to_planes.resample(frame)]
    samples = np.concatenate([plane.to_ndarray()[0] for plane in planes])
    return samples, frames[0].sample_rate, frames[0].layout.name


def test_pcm_that_says_nothing_of_its_channels(painted, tmp_path: Path) -> None:
    recipe = Recipe(audio_seconds=(1.0,), audio_codec="pcm_s16le")
    _, _, report = painted(recipe, ".mkv", ".mp4")
    before, after = heard(tmp_path / "in.mkv"), heard(tmp_path / "out.mp4")
    assert before[1:] == (48000, "2 channels")
    assert after[1:] == (48000, "stereo")
    assert np.array_equal(before[0], after[0])
    assert report.notes == ()
