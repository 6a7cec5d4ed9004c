"""Motion between the frames of clips, real and synthetic."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


from export.data.clips import ClipPairs
from export.data.motion import LIGHT, NOISE, Motion, SyntheticMotion, temporal_loss
from tests.helpers.clips import write_moving_noise


def test_motion_is_what_it_says() -> None:
    motion = SyntheticMotion(2, 64, torch.Generator().manual_seed(0))
    ramp = torch.linspace(0, 1, 64).expand(2, 3, 64, 64)
    moved = motion(ramp)
    assert 0.001 < (moved - ramp)[..., 16:48, 16:48].abs().mean() < 0.1  # it moves, a little
    assert 0.7 < motion.inside.mean() < 1
    again = SyntheticMotion(2, 64, torch.Generator().manual_seed(0))
    assert torch.equal(again(ramp), moved)
    assert temporal_loss(ramp, moved, motion).item() == pytest.approx(0, abs=1e-12)
    assert temporal_loss(ramp, ramp, motion).item() > 1e-5


def test_a_moved_picture_is_filmed_with_noise_in_other_light() -> None:
    motion = SyntheticMotion(4, 64, torch.Generator().manual_seed(0))
    grey = torch.full((4, 3, 64, 64), 0.5)
    filmed = motion.filmed(grey)
    light = filmed.mean(dim=(1, 2, 3)) / 0.5
    assert len(light.unique()) == 4
    assert ((light >= 1 - LIGHT) & (light <= 1 + LIGHT)).all()
    assert (light - 1).abs().max() > LIGHT / 10
    assert filmed.std(dim=(1, 2, 3)).mean().item() == pytest.approx(NOISE, rel=0.1)
    assert motion.filmed(torch.ones(4, 3, 64, 64)).max() <= 1


def test_a_clip_whose_title_is_no_text_is_read(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    write_moving_noise(clip, 2)
    whole = clip.read_bytes()
    assert b"Lavf" in whole  # the name of the program that wrote it, in the container's metadata
    clip.write_bytes(whole.replace(b"Lavf", b"L\xfevf"))
    assert len(ClipPairs(tmp_path, 32, 4, seed=0)) == 4


def test_pairs_of_a_clip_and_their_motion(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_moving_noise(clips / "moving.mkv", step=3)
    pairs, again = (ClipPairs(clips, 48, 10, seed=1) for _ in range(2))
    for pair, same in [(pairs[i], again[i]) for i in range(len(pairs))]:
        assert all(torch.equal(*both) for both in zip(pair, same, strict=True))
        motion = Motion(pair.grid[None], pair.inside[None])
        moved = motion(pair.before[None])
        difference = (moved - pair.after).abs() * motion.inside
        assert difference.mean() < 0.02 < (pair.before - pair.after).abs().mean()
        # 96 lines became 48, so 3 pixels became 1.5; in units of half the side
        assert pair.inside.mean() > 0.8
        unmoved = torch.nn.functional.affine_grid(
            torch.eye(2, 3)[None], [1, 3, 48, 48], align_corners=False
        )
        shift = (pair.grid - unmoved[0]).median(dim=0).values.median(dim=0).values
        torch.testing.assert_close(shift, torch.tensor([-1.5 * 2 / 48, 0.0]), atol=0.006, rtol=0)
