"""The conformance suite that every source has to pass."""

import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from PIL import Image

from streamstyle import Clip, UserError
from streamstyle.sources import PatternSource, Source, StillSource, open_video
from streamstyle.sources.pattern import PATTERNS
from tests.helpers.clips import Recipe, make_clip
from tests.helpers.serving import QuietHandler, serving


def _video(folder: Path) -> Source:
    return open_video(str(make_clip(folder / "clip.mp4", Recipe(pts=range(8)))))


def _part(folder: Path) -> Source:
    clip = make_clip(folder / "clip.mp4", Recipe(pts=range(30)))
    return open_video(str(clip), Clip(Fraction(4, 10), Fraction(8, 25)))


def _pattern(_folder: Path) -> Source:
    return open_video("pattern:testsrc", Clip(duration_seconds=Fraction(8, 25)))


def _still(folder: Path) -> Source:
    _save(folder / "photo.png", 1)
    return StillSource(folder / "photo.png")


def _folder(folder: Path) -> Source:
    for number in range(8):
        _save(folder / f"photo {number}.png", number)
    return StillSource(folder)


def _animation(folder: Path) -> Source:
    first, *others = (Image.new("RGB", (64, 48), (30 * n, 0, 0)) for n in range(8))
    first.save(folder / "in.webp", save_all=True, append_images=others, duration=40)
    return open_video(str(folder / "in.webp"))


def _save(path: Path, number: int) -> None:
    Image.fromarray(np.full((48, 64, 3), 10 * number, np.uint8)).save(path)


@pytest.mark.parametrize(
    ("make", "count"),
    [(_video, 8), (_part, 8), (_pattern, 8), (_animation, 8), (_still, 1), (_folder, 8)],
)
class TestEverySource:
    def test_frames_come_in_order(
        self, tmp_path: Path, make: Callable[[Path], Source], count: int
    ) -> None:
        with make(tmp_path) as source:
            frames = list(source)
        assert [frame.index for frame in frames] == list(range(count))
        times = [frame.pts_seconds for frame in frames]
        assert times == sorted(set(times))
        assert times[0] == 0

    def test_info_tells_what_comes(
        self, tmp_path: Path, make: Callable[[Path], Source], count: int
    ) -> None:
        with make(tmp_path) as source:
            info = source.info
            frames = list(source)
        assert info.name
        assert info.frames == count
        for frame in frames:
            assert (info.width or frame.width, info.height or frame.height) == (
                frame.width,
                frame.height,
            )

    def test_images_belong_to_the_receiver(
        self, tmp_path: Path, make: Callable[[Path], Source], count: int
    ) -> None:
        with make(tmp_path) as source:
            frames = [(frame, frame.image.copy()) for frame in source]
        for frame, copy in frames:
            assert np.array_equal(frame.image, copy)
            frame.image[:] = 0

    def test_capture_times_are_taken_when_they_come(
        self, tmp_path: Path, make: Callable[[Path], Source], count: int
    ) -> None:
        with make(tmp_path) as source:
            for frame in source:
                assert 0 <= time.perf_counter() - frame.captured_at_s < 1

    def test_closing_early_and_twice(
        self, tmp_path: Path, make: Callable[[Path], Source], count: int
    ) -> None:
        source = make(tmp_path)
        next(iter(source))
        source.close()
        source.close()
        files = [Path(file.path) for file in psutil.Process().open_files()]
        assert not [path for path in files if path.parent == tmp_path]


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_move_and_sound(name: str) -> None:
    with PatternSource(name, Clip(duration_seconds=Fraction(2))) as source:
        frames = list(source)
        kinds = [stream.type for stream in source.tracks.container.streams]
    assert len(frames) == 50
    assert not np.array_equal(frames[0].image, frames[-1].image)
    assert kinds == ["video", "audio"]


def test_unknown_pattern_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"no pattern nonsense.*mandelbrot"):
        open_video("pattern:nonsense")


@pytest.mark.parametrize("location", ["missing.mp4", "."])
def test_missing_video(location: str) -> None:
    with pytest.raises(UserError, match=r"does not exist|is a folder"):
        open_video(location)


def test_time_that_a_file_does_not_have(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4")
    with pytest.raises(UserError, match=r"in the time asked for; the video is 1\.0 s long"):
        open_video(str(tmp_path / "clip.mp4"), Clip(Fraction(50)))


def test_address_of_which_no_part_can_be_had(tmp_path: Path) -> None:
    """The index of the MP4 file, which has to be read first, is at its end."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 240, 320, 3), np.uint8)
    with av.open(tmp_path / "clip.mp4", "w") as output:
        stream = output.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height = 320, 240
        for image in noise:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        output.mux(stream.encode(None))
    with (
        serving(partial(QuietHandler, directory=tmp_path)) as address,
        pytest.raises(UserError, match=r"clip\.mp4 cannot be read: .*download it first"),
    ):
        open_video(f"{address}/clip.mp4")


def test_frame_shows_its_shape_not_its_pixels(tmp_path: Path) -> None:
    with _video(tmp_path) as source:
        assert repr(next(iter(source))) == "Frame(0: 64x48 at 0.000 s)"


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4))]
)
def test_frame_that_is_no_picture(image: np.ndarray) -> None:
    from streamstyle.frame import Frame

    with pytest.raises(ValueError, match=r"uint8 of shape \(H, W, 3\)"):
        Frame(image, 0, Fraction(0))
