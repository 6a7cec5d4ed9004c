"""How the options of a Look change the picture, and the codecs that write it."""

import itertools

import numpy as np
import pytest

from streamstyle import Encoding, Look
from tests.helpers.clips import BLUE, BT709, GREEN, GREY, LIMITED, RED, Recipe


def test_frames_smaller_than_the_network_takes(painted) -> None:
    before, after, _ = painted(Recipe(size=(8, 6), pts=range(3)), look=Look())
    assert after.frames[0].shape == (6, 8, 3)
    assert np.abs(255 - after.frames[0].astype(int) - before.frames[0]).mean() < 25


def test_painting_is_the_engine_s(painted) -> None:
    before, after, _ = painted(Recipe(), look=Look())
    assert np.abs(255 - after.frames[5].astype(int) - before.frames[5]).mean() < 6


def test_side_by_side_shows_the_original_on_the_left(painted) -> None:
    before, after, _ = painted(Recipe(), look=Look(side_by_side=True))
    left, right = np.hsplit(after.frames[5].astype(int), 2)
    assert np.abs(left - before.frames[5]).mean() < 6
    assert np.abs(255 - right - before.frames[5]).mean() < 6


def test_half_strength_is_half_way(painted) -> None:
    _, after, _ = painted(Recipe(), look=Look(strength=0.5))
    assert np.abs(after.frames[5].astype(int) - 127).mean() < 6


@pytest.mark.parametrize(("steady", "least", "most"), [(0.0, 15, 25), (1.0, 0, 8)])
def test_steady_keeps_of_the_frame_before(
    painted, inverter, monkeypatch, steady: float, least: float, most: float
) -> None:
    """The input stands still, but the engine's paintings flicker."""
    levels = itertools.cycle([100, 140])
    monkeypatch.setattr(inverter, "paint", lambda f, _: np.full_like(f, next(levels)))
    _, after, _ = painted(Recipe(bars=[GREY], pts=range(12)), look=Look(steady=steady))
    flicker = np.std([frame.mean() for frame in after.frames[4:]])
    assert least <= flicker <= most


def test_network_size_does_not_change_the_file_s_unless_asked(painted) -> None:
    _, kept, _ = painted(Recipe(pts=range(3)), look=Look(width=32))
    assert kept.frames[0].shape == (48, 64, 3)


def test_file_at_the_network_s_size(painted) -> None:
    _, after, _ = painted(Recipe(pts=range(3)), look=Look(width=32, resize=True))
    assert after.frames[0].shape == (24, 32, 3)


@pytest.mark.parametrize(
    ("codec", "suffix", "kept_as"),
    [("hevc", ".mp4", "hevc"), ("av1", ".mkv", "av1"), ("vp9", ".mkv", "vp9")],
)
def test_other_codecs(painted, codec: str, suffix: str, kept_as: str) -> None:
    recipe = Recipe(color=(BT709, LIMITED), bars=(GREEN, RED, BLUE, GREY), pts=range(5))
    before, after, _ = painted(recipe, ".mp4", suffix, encoding=Encoding(codec, crf=20))
    assert after.kinds[0][:2] == ("video", kept_as)
    assert after.matrix == BT709
    assert len(after.times) == 5
    assert np.abs(after.frames[2].astype(int) - before.frames[2]).mean() < 6
