"""Interlaced video is painted as whole pictures."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from engines import Engine
from streamstyle import Clip, UserError, VideoSettings, paint_video
from streamstyle.sources import open_video
from tests.conftest import UNPAINTED
from tests.helpers.clips import read_clip

FRAMES = 25
SIZE = (96, 72)

X264 = {"flags": "+ilme+ildct", "x264-params": "tff=1", "crf": "5"}
MPEG2 = {"flags": "+ilme+ildct", "qmin": "1", "qmax": "2", "b": "8M"}


def field(moment: int) -> NDArray[np.uint8]:
    """Return a white bar on black, which moves 2 pixels in each field."""
    image = np.full((SIZE[1], SIZE[0], 3), 16, np.uint8)
    image[:, 10 + moment : 40 + moment] = 235
    return image


def make_interlaced(
    path: Path, codec: str = "libx264", kind: str = "yuv420p", progressive: int = 0
) -> Path:
    """Write a clip whose first `progressive` frames, and those alone, are whole pictures."""
    with av.open(path, "w") as output:
        for flagged, moments in (
            (False, range(progressive)),
            (True, range(progressive, FRAMES)),
        ):
            if not moments:
                continue
            if len(output.streams) == 0:
                stream = output.add_stream(codec, 25, options=X264 if "264" in codec else MPEG2)
                stream.width, stream.height, stream.pix_fmt = *SIZE, kind
            for index in moments:
                image = field(2 * index)
                if flagged:  # the lower field is the first
                    image[::2] = field(2 * index + 1)[::2]
                frame = av.VideoFrame.from_ndarray(image, "rgb24").reformat(
                    format=kind, interpolation="POINT"
                )
                frame.pts, frame.time_base = index, Fraction(1, 25)
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def combs(image: NDArray[np.uint8]) -> float:
    """Return how much neighboring lines differ, more than lines of the same field."""
    gray = image[..., 1].astype(int)
    return float(np.abs(gray[1:-1] - gray[:-2]).mean() - np.abs(gray[2:] - gray[:-2]).mean())


@pytest.mark.parametrize(
    ("name", "codec", "kind"),
    [
        ("in.mp4", "libx264", "yuv420p"),
        ("in.mkv", "libx264", "yuv422p"),
        ("in.ts", "mpeg2video", "yuv420p"),
        ("in.mxf", "mpeg2video", "yuv422p"),
    ],
)
def test_interlaced_video_is_painted_whole_and_said(
    tmp_path: Path, inverter: Engine, name: str, codec: str, kind: str
) -> None:
    source = make_interlaced(tmp_path / name, codec, kind)
    before = read_clip(source)
    assert combs(before.frames[12]) > 2
    report = paint_video(
        source, tmp_path / "out.mkv", engine=inverter, settings=VideoSettings(look=UNPAINTED)
    )
    after = read_clip(tmp_path / "out.mkv")
    assert len(after.times) == FRAMES
    start = before.times[0] - after.times[0]
    for time, same in zip(after.times, before.times, strict=True):
        assert abs(time + start - same) < Fraction(2, 1000)
    for index in range(1, FRAMES):
        assert combs(after.frames[index]) < 0.5
        bar = np.flatnonzero(after.frames[index][36, :, 1] > 128)
        assert abs(bar[0] - (10 + 2 * index)) <= 1  # at the time of the first field
    assert [note for note in report.notes if "--deinterlace off" in note]


def test_deinterlacing_can_be_switched_off(tmp_path: Path) -> None:
    source = make_interlaced(tmp_path / "in.mp4")
    with open_video(str(source), Clip(deinterlace="off")) as video:
        frames = list(video)
    assert combs(frames[12].image) > 2
    assert not video.notes
    with pytest.raises(UserError, match="--deinterlace takes auto, off, got on"):
        Clip(deinterlace="on")


def test_part_of_an_interlaced_video(tmp_path: Path) -> None:
    source = make_interlaced(tmp_path / "in.mp4")
    with open_video(str(source), Clip(Fraction(10, 25), Fraction(5, 25))) as video:
        frames = list(video)
    assert [frame.pts_seconds for frame in frames] == [Fraction(n, 25) for n in range(5)]
    for number, frame in enumerate(frames):
        bar = np.flatnonzero(frame.image[36, :, 1] > 128)
        assert abs(bar[0] - (30 + 2 * number)) <= 1
        assert combs(frame.image) < 0.5


def test_whole_pictures_are_untouched(tmp_path: Path) -> None:
    """Players and this program go by what each picture says, and these say nothing."""
    path = tmp_path / "in.mkv"
    with av.open(path, "w") as output:
        stream = output.add_stream("ffv1", 25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "bgr0"
        noise = np.random.default_rng(0).integers(0, 256, (10, SIZE[1], SIZE[0], 3), np.uint8)
        for image in noise:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        output.mux(stream.encode(None))
    with open_video(str(path)) as video:
        for frame, image in zip(video, noise, strict=True):
            assert np.array_equal(frame.image, image)
        assert not video.notes
