"""The conformance suite that every sink has to pass."""

import os
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from streamstyle import Encoding, UserError
from streamstyle.frame import Frame
from streamstyle.sinks import ImageSink, NullSink, Sink, VideoSink
from streamstyle.sources import open_video
from tests.helpers.clips import needs_encoder, read_clip
from tests.helpers.frames_of_video import FORMAT


def _video(folder: Path) -> Sink:
    return VideoSink(folder / "out.mp4", FORMAT, None)


def _images(folder: Path) -> Sink:
    return ImageSink(folder / "out", folder=True)


def _null(_folder: Path) -> Sink:
    return NullSink()


def frames(count: int) -> list[Frame]:
    return [
        Frame(np.full((48, 64, 3), 20 * n, np.uint8), n, Fraction(n * n, 1000))
        for n in range(count)
    ]


def written(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("make", [_video, _images, _null])
class TestEverySink:
    def test_takes_frames_and_finishes(self, tmp_path: Path, make: Callable[[Path], Sink]) -> None:
        with make(tmp_path) as sink:
            for frame in frames(10):
                copy = frame.image.copy()
                sink.write(frame)
                assert np.array_equal(frame.image, copy)
            sink.finish()
        assert not [name for name in written(tmp_path) if "partial" in name]
        assert sink.notes == []

    def test_closing_before_the_first_frame_leaves_nothing(
        self, tmp_path: Path, make: Callable[[Path], Sink]
    ) -> None:
        sink = make(tmp_path)
        sink.close()
        sink.close()
        assert written(tmp_path) == []

    def test_closing_half_way_says_what_is_left(
        self, tmp_path: Path, make: Callable[[Path], Sink]
    ) -> None:
        sink = make(tmp_path)
        for frame in frames(5):
            sink.write(frame)
        sink.close()
        sink.close()
        assert "out.mp4" not in written(tmp_path)
        for name in written(tmp_path):
            if "partial" in name:
                assert any(name in note for note in sink.notes)


def test_video_has_what_was_written(tmp_path: Path) -> None:
    with _video(tmp_path) as sink:
        for frame in frames(10):
            sink.write(frame)
        sink.finish()
    video = read_clip(tmp_path / "out.mp4")
    assert video.times == [Fraction(n * n, 1000) for n in range(10)]
    for number, image in enumerate(video.frames):
        assert abs(image.astype(int) - 20 * number).mean() < 4


def test_images_are_numbered(tmp_path: Path) -> None:
    with _images(tmp_path) as sink:
        for frame in frames(3):
            sink.write(frame)
        sink.finish()
    assert written(tmp_path) == ["000001.png", "000002.png", "000003.png"]


def test_video_without_frames_is_an_error_and_no_file(tmp_path: Path) -> None:
    with _video(tmp_path) as sink, pytest.raises(UserError, match="no frame"):
        sink.finish()
    assert written(tmp_path) == []


@pytest.mark.parametrize(
    ("encoding", "words"),
    [
        (Encoding(codec="nonsense"), "no codec nonsense.*h264"),
        (Encoding(codec="vp9", preset="slow"), "libvpx-vp9 has no --preset"),
        (Encoding(codec="gif", crf=3), "gif has no --crf"),
    ],
)
def test_bad_encodings(tmp_path: Path, encoding: Encoding, words: str) -> None:
    with pytest.raises(UserError, match=words):
        VideoSink(tmp_path / "out.mkv", FORMAT, None, encoding)


def test_bad_preset_is_one_sentence(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.mkv", FORMAT, None, Encoding(preset="nonsense"))
    with sink, pytest.raises(UserError, match=r"libx264 does not start with .*preset=nonsense"):
        sink.write(frames(1)[0])
    assert written(tmp_path) == []


def test_folder_that_has_gone_is_not_the_encoder_s_fault(tmp_path: Path) -> None:
    folder = tmp_path / "away"
    folder.mkdir()
    sink = _video(folder)
    folder.rmdir()
    with sink, pytest.raises(UserError, match=r"^cannot write .*out.mp4: no such file"):
        sink.write(frames(1)[0])


def test_codec_that_the_container_cannot_hold_is_one_sentence(tmp_path: Path) -> None:
    sink = VideoSink(tmp_path / "out.webm", FORMAT, None, Encoding(codec="h264"))
    with sink, pytest.raises(UserError, match=r"webm can't hold what the encoder libx264"):
        sink.write(frames(1)[0])
    assert written(tmp_path) == []


def test_odd_size_in_a_codec_that_cannot_is_one_sentence(tmp_path: Path) -> None:
    odd = Frame(np.zeros((49, 65, 3), np.uint8), 0, Fraction(0))
    sink = VideoSink(tmp_path / "out.mkv", FORMAT, None, Encoding(codec="av1"))
    with sink, pytest.raises(UserError, match="65x49"):
        sink.write(odd)
    assert written(tmp_path) == []


@needs_encoder("libsvtav1")
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists threads as files")
def test_av1_leaves_the_processor_to_others(tmp_path: Path) -> None:
    """For root, SVT-AV1 makes itself and its caller real-time, above every other program."""
    with VideoSink(tmp_path / "out.mkv", FORMAT, None, Encoding(codec="av1")) as sink:
        sink.write(frames(1)[0])
        threads = [int(task.name) for task in Path("/proc/self/task").iterdir()]
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
        sink.finish()


def test_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    with _video(tmp_path) as sink:
        sink.write(frames(1)[0])
        (tmp_path / "out.mp4").write_bytes(b"somebody else's")
        with pytest.raises(UserError, match=r"meanwhile.*partial"):
            sink.finish()
    assert (tmp_path / "out.mp4").read_bytes() == b"somebody else's"
    assert len(read_clip(tmp_path / "out.partial.mp4").times) == 1


def test_part_is_named_if_the_disk_is_full_in_the_end(tmp_path: Path) -> None:
    """A limit on the file size stands in for a full disk."""
    resource = pytest.importorskip("resource", reason="Windows limits no file's size")
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    sink = _video(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with sink:
        sink.write(Frame(noise, 0, Fraction(0)))  # the encoder keeps it until the end
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            with pytest.raises(UserError, match=r"cannot write .*out.mp4"):
                sink.finish()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert written(tmp_path) == ["out.partial.mp4"]
    assert any("out.partial.mp4" in note for note in sink.notes)


RECORDER = """
import sys, time
from pathlib import Path
from streamstyle.sinks import VideoSink
from tests.helpers.frames_of_video import FORMAT, recording

sink = VideoSink(Path(sys.argv[1]), FORMAT, tracks=None)
for frame in recording():
    sink.write(frame)
print("written", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".m4v", ".mkv", ".webm", ".ts"])
def test_recording_that_is_killed_plays_up_to_its_last_seconds(tmp_path: Path, suffix: str) -> None:
    command = [sys.executable, "-c", RECORDER, str(tmp_path / f"take{suffix}")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"written\n"
        process.kill()
    with open_video(str(tmp_path / f"take.partial{suffix}")) as source:
        left = list(source)
    assert len(left) > 150
    numbers = [round(25 * frame.pts_seconds) for frame in left]
    # The last picture may be one that was written before up to three that are shown earlier.
    assert numbers[:-1] == list(range(len(left) - 1))
    assert 1 <= numbers[-1] - numbers[-2] <= 4
    for n, frame in zip(numbers, left, strict=True):
        assert abs(frame.image.astype(int) - n).mean() < 2.5
        assert abs(frame.pts_seconds - Fraction(n, 25)) < Fraction(1, 500)


def test_folder_where_a_file_is(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(UserError, match="is a file"):
        ImageSink(tmp_path / "out", folder=True)
