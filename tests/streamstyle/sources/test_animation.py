"""Animated WebP is a video, with the times of its frames."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engines import Engine
from streamstyle import Clip, UserError, paint_video
from streamstyle.painting.masks import open_mask
from streamstyle.sources import open_video
from streamstyle.sources.animation import animated_format
from tests.helpers.clips import read_clip

DURATIONS_MS = [40, 200, 0, 120]
STARTS = [Fraction(ms, 1000) for ms in (0, 40, 240, 340)]  # none is shown for 0.1 s


def animated(path: Path, opacity: int = 255, kind: str = "WEBP") -> Path:
    first, *others = (
        Image.new("RGBA", (64, 48), (grey, grey, grey, opacity)) for grey in (0, 60, 120, 180)
    )
    first.save(
        path, kind, save_all=True, append_images=others, duration=DURATIONS_MS, lossless=True
    )
    return path


@pytest.mark.parametrize("name", ["in.webp", "in.png"])
def test_frames_come_at_their_times(tmp_path: Path, inverter: Engine, name: str) -> None:
    report = paint_video(animated(tmp_path / name), tmp_path / "out.mkv", engine=inverter)
    painted = read_clip(tmp_path / "out.mkv")
    assert painted.times == STARTS
    levels = [frame.mean() for frame in painted.frames]
    assert np.abs(np.array(levels) - [255, 195, 135, 75]).max() < 2
    assert report.notes == ()


def test_a_part_of_it(tmp_path: Path) -> None:
    path = animated(tmp_path / "in.webp")
    with open_video(str(path), Clip(Fraction(1, 5), Fraction(1, 5))) as source:
        frames = list(source)
    assert [frame.pts_seconds for frame in frames] == [Fraction(4, 100), Fraction(14, 100)]
    assert [int(frame.image.mean()) for frame in frames] == [120, 180]
    with pytest.raises(UserError, match=r"no picture in in\.webp can be decoded in the time"):
        open_video(str(path), Clip(Fraction(2)))


def test_lost_transparency_is_said(tmp_path: Path, inverter: Engine) -> None:
    path = animated(tmp_path / "in.webp", opacity=90)
    report = paint_video(path, tmp_path / "out.mkv", engine=inverter)
    assert report.notes == ("the transparency of in.webp is not kept",)


def test_what_can_not_be_decoded_is_said(tmp_path: Path) -> None:
    first, *others = (
        Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8))
        for seed in range(4)
    )
    path = tmp_path / "in.webp"
    first.save(path, save_all=True, append_images=others)
    whole = path.read_bytes()
    third = [at for at in range(len(whole)) if whole[at : at + 4] == b"VP8 "][2] + 18
    path.write_bytes(whole[:third] + b"\xff" * 1000 + whole[third + 1000 :])
    with open_video(str(path)) as source:
        assert len(list(source)) == 2
        assert source.notes == ["in.webp could not be read to its end: failed to read next frame"]
    path.write_bytes(whole[:third])
    with pytest.raises(UserError, match=r"no picture in in\.webp can be decoded"):
        open_video(str(path))


def test_pages_and_still_pictures_are_no_animations(tmp_path: Path) -> None:
    for kind in ("GIF", "PNG", "AVIF", "WEBP"):
        assert animated_format(animated(tmp_path / "many", kind=kind)) == kind
        Image.new("RGB", (64, 48)).save(tmp_path / "one", kind)
        assert animated_format(tmp_path / "one") is None
    assert animated_format(animated(tmp_path / "pages", kind="TIFF")) is None


def test_it_is_a_mask_that_moves(tmp_path: Path) -> None:
    path = animated(tmp_path / "mask.webp")
    mask = open_mask(str(path))
    with open_video(str(path)) as source:
        inside = [float(mask(frame).mean()) for frame in source]
    mask.close()
    assert inside == pytest.approx([0, 60 / 255, 120 / 255, 180 / 255], abs=0.01)
