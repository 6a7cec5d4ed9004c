"""Every frame of a painted file keeps its time and its duration."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from streamstyle import Clip
from tests.helpers.clips import BLUE, BT601, GREEN, RED, Recipe

VARIABLE = (0, 1000, 1600, 1700, 4000, 4001, 9000, 12345)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
def test_variable_frame_rate_keeps_every_timestamp(painted, suffix: str) -> None:
    codec = "libvpx-vp9" if suffix == ".webm" else "libx264"
    tick = {".mkv": 1000, ".webm": 1000, ".ts": 90000}.get(suffix, 12800)
    recipe = Recipe(pts=VARIABLE, time_base=Fraction(1, tick), codec=codec)
    before, after, _ = painted(recipe, suffix)
    assert before.tick == Fraction(1, tick)
    assert after.tick == before.tick
    assert [t - after.times[0] for t in after.times] == [t - before.times[0] for t in before.times]
    if suffix != ".ts":  # there the clock starts anywhere, so only differences matter
        assert after.times[0] == before.times[0]


def test_timestamps_between_containers_are_right_to_half_a_tick(painted) -> None:
    recipe = Recipe(pts=VARIABLE, time_base=Fraction(1, 12800))
    before, after, _ = painted(recipe, ".mp4", ".mkv")
    assert len(after.times) == len(VARIABLE)
    for expected, got in zip(before.times, after.times, strict=True):
        assert abs(expected - got) <= after.tick / 2


def test_ntsc_rate_is_not_rounded(painted) -> None:
    recipe = Recipe(pts=tuple(1001 * n for n in range(60)), time_base=Fraction(1, 30000))
    _, after, _ = painted(recipe)
    assert after.times == [Fraction(1001 * n, 30000) for n in range(60)]


def test_start_and_duration(painted) -> None:
    recipe = Recipe(
        pts=range(100), audio_seconds=(4.0,), chapters=True, options={"g": "30", "bf": "2"}
    )
    clip = Clip(Fraction(13, 10), Fraction(1))
    before, after, _ = painted(recipe, clip=clip)
    expected = [t for t in before.times if Fraction(13, 10) <= t < Fraction(23, 10)]
    assert len(expected) == 25
    assert after.times == [t - Fraction(13, 10) for t in expected]
    kept = [d for t, d in before.packets[1] if Fraction(13, 10) <= t < Fraction(23, 10)]
    assert [digest for _, digest in after.packets[1]] == kept
    assert abs(after.packets[1][0][0]) < Fraction(1024, 48000)


def test_animated_gif_in_and_out(painted) -> None:
    recipe = Recipe(codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100),
                    pts=(0, 10, 15, 40, 90))  # fmt: skip
    before, after, _ = painted(recipe, ".gif", ".gif")
    assert after.times == before.times
    assert np.abs(after.frames[2].astype(int) - before.frames[2]).mean() < 12


def test_gif_to_video(painted) -> None:
    recipe = Recipe(codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100),
                    pts=(0, 10, 15, 40, 90), bars=(GREEN, RED, BLUE, (0, 0, 0)))  # fmt: skip
    before, after, _ = painted(recipe, ".gif", ".mp4")
    assert after.times == before.times
    assert after.matrix == BT601  # a new video is always tagged
    assert np.abs(after.frames[2].astype(int) - before.frames[2]).mean() < 12


def test_still_as_a_video(painted) -> None:
    recipe = Recipe(codec="png", pixel_format="rgb24", pts=(0,))
    before, after, _ = painted(recipe, ".png", ".mp4")
    assert len(after.frames) == 1
    assert np.abs(after.frames[0].astype(int) - before.frames[0]).mean() < 12


@pytest.mark.parametrize("suffix", [".gif", ".mkv"])
def test_last_frame_stays_as_long_as_it_did(painted, suffix: str) -> None:
    recipe = Recipe(codec="gif", pixel_format="rgb8", time_base=Fraction(1, 100),
                    pts=(0, 10, 15, 40, 90))  # fmt: skip
    before, after, _ = painted(recipe, ".gif", suffix)
    assert after.durations == before.durations
    assert after.durations[-1] != after.durations[-2]


@pytest.mark.parametrize(
    ("pts", "tick", "kept"),
    [
        (range(24), Fraction(1, 120), list(range(20))),
        ((0, 100, 101, 200, 500), Fraction(1, 1000), [0, 10, 20, 50]),
    ],
)
def test_frames_within_a_tick_of_a_gif_are_left_out(
    painted, pts: Sequence[int], tick: Fraction, kept: list[int]
) -> None:
    _, after, report = painted(Recipe(pts=pts, time_base=tick), ".mp4", ".gif")
    assert [round(100 * time) for time in after.times] == kept
    left_out = f"{len(pts) - len(kept)} frames were left out"
    assert [left_out in note for note in report.notes] == [True]
