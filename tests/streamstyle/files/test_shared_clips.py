"""Every clip of a collection of real videos is painted without loss, or refused."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from engines import Engine
from streamstyle import Clip, Encoding, Look, UserError, VideoSettings, paint_video
from streamstyle.media.encoders import DEFAULT_CODECS
from tests.conftest import SHARED
from tests.helpers.clips import Contents, read_clip

pytestmark = pytest.mark.slow

CLIPS = sorted((SHARED / "clips").iterdir()) if SHARED.is_dir() else []

QUICK = Look(strength=0, scale=0.1)
QUICKLY = Encoding(crf=35, preset="ultrafast")

HDR = {
    "media3_hdr10-av1.mp4",
    "media3_hlg10-color-test.mp4",
    "media3_sample_edit_list.mp4",
}

ODD_ONES_OUT = {
    "exo_video_desks.3gp",  # its location tag is not valid text, which this test can't read
    "osai_billiard.h264",  # has no timestamps to compare with
}


def test_there_are_clips(shared: Path) -> None:
    assert len(CLIPS) > 20


@pytest.mark.parametrize("clip", CLIPS, ids=lambda path: path.name)
def test_clip_comes_out_as_it_went_in(clip: Path, tmp_path: Path, inverter: Engine) -> None:
    suffix = clip.suffix if clip.suffix in DEFAULT_CODECS else ".mkv"
    target = tmp_path / f"out{suffix}"
    if clip.name in HDR:
        with pytest.raises(UserError, match="--tonemap"):
            paint_video(clip, target, engine=inverter)
        assert not list(tmp_path.iterdir())
    report = paint_video(
        clip,
        target,
        engine=inverter,
        settings=VideoSettings(
            look=QUICK,
            clip=Clip(tonemap=clip.name in HDR),
            encoding=QUICKLY if suffix not in (".webm", ".gif") else Encoding(),
        ),
    )
    painted = read_clip(target)
    assert len(painted.times) == report.stats.frames
    if clip.name in ODD_ONES_OUT:
        return
    original = read_clip(clip)
    zero = original.times[0] - painted.times[0] if suffix == ".ts" else _begin(clip)
    for before, after in zip(original.times, painted.times, strict=True):
        assert abs(before - zero - after) <= painted.tick / 2
    assert _upright_size(original) == painted.frames[0].shape
    assert painted.rotation == 0
    assert _digests(painted) == _digests(original, _unpainted_videos(clip))
    if clip.name not in HDR:
        assert painted.pixel_aspect == original.pixel_aspect


def _begin(path: Path) -> Fraction:
    """Return the time at which the clock of a video begins, which is 0 in a painted one."""
    with av.open(path) as file:
        return max(Fraction(file.start_time or 0, av.time_base), Fraction(0))


def _upright_size(contents: Contents) -> tuple[int, ...]:
    height, width, channels = contents.frames[0].shape
    return (width, height, channels) if contents.rotation % 180 else (height, width, channels)


def _unpainted_videos(path: Path) -> set[int]:
    with av.open(path) as file:
        return {stream.index for stream in file.streams.video}


def _digests(contents: Contents, but: set[int] = frozenset()) -> list[list[str]]:
    return [
        [digest for _, digest in packets]
        for index, packets in contents.packets.items()
        if index not in but
    ]
