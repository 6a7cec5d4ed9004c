"""Painting from pipes and into pipes, as in `ffmpeg ... | streamstyle video - - | ffplay -`."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engines import Engine
from streamstyle import Clip, UserError, VideoSettings, paint_video
from streamstyle.cli.main import main
from tests.conftest import UNPAINTED
from tests.helpers.clips import Contents, Recipe, make_clip, read_clip

pytestmark = pytest.mark.slow

if not hasattr(os, "mkfifo"):
    pytest.skip("Windows has no named pipes in folders", allow_module_level=True)

MATROSKA = b"\x1a\x45\xdf\xa3"
"""The first bytes of every Matroska file."""

PATIENCE_S = 30

SPOKEN = Recipe(size=(96, 72), pts=range(50), audio_seconds=(2.0,))
IN_MATROSKA = Recipe(
    size=(96, 72), pts=range(50), audio_seconds=(2.0,), subtitles=("Hello",), subtitle_codec="ass"
)


@contextmanager
def piped_in(pipe: Path, content: bytes) -> Iterator[None]:
    """Make a named pipe, and write into it."""
    os.mkfifo(pipe)

    def write() -> None:
        with suppress(BrokenPipeError):  # the reader wanted no more
            pipe.write_bytes(content)

    writer = threading.Thread(target=write, daemon=True)  # it waits for a reader
    writer.start()
    yield
    writer.join(PATIENCE_S)


@contextmanager
def piped_out(pipe: Path, target: Path) -> Iterator[None]:
    """Make a named pipe, and write what comes out of it into a file."""
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: target.write_bytes(pipe.read_bytes()), daemon=True)
    reader.start()
    yield
    reader.join(PATIENCE_S)


def run(folder: Path, style: Path, *arguments: str, stdin: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "streamstyle", *arguments, "--style", str(style)],
        cwd=folder,
        stdin=stdin,  # type: ignore[arg-type]
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def check_same(painted: Contents, plain: Contents) -> None:
    assert [round(float(t), 3) for t in painted.times] == [round(float(t), 3) for t in plain.times]
    assert [kind[:2] for kind in painted.kinds] == [kind[:2] for kind in plain.kinds]
    for track, packets in plain.packets.items():
        assert [digest for _, digest in painted.packets[track]] == [d for _, d in packets]
    assert np.abs(painted.frames[40].astype(int) - plain.frames[40]).mean() < 6


@pytest.mark.parametrize(("suffix", "recipe"), [(".ts", SPOKEN), (".mkv", IN_MATROSKA)])
def test_named_pipe_is_read_as_a_file(
    tmp_path: Path, inverter: Engine, suffix: str, recipe: Recipe
) -> None:
    plain = make_clip(tmp_path / f"plain{suffix}", recipe)
    settings = VideoSettings(look=UNPAINTED)
    paint_video(plain, tmp_path / "file.mkv", engine=inverter, settings=settings)
    with piped_in(tmp_path / f"pipe{suffix}", plain.read_bytes()):
        report = paint_video(
            tmp_path / f"pipe{suffix}", tmp_path / "painted.mkv", engine=inverter, settings=settings
        )
    assert report.stats.frames == 50
    check_same(read_clip(tmp_path / "painted.mkv"), read_clip(tmp_path / "file.mkv"))


def test_part_of_a_pipe(tmp_path: Path, inverter: Engine) -> None:
    """The frames before the start cannot be skipped; they are read and left out."""
    part = VideoSettings(look=UNPAINTED, clip=Clip(Fraction(1), Fraction(1, 2)))
    plain = make_clip(tmp_path / "plain.ts", SPOKEN)
    paint_video(plain, tmp_path / "file.mkv", engine=inverter, settings=part)
    with piped_in(tmp_path / "pipe", plain.read_bytes()):
        paint_video(tmp_path / "pipe", tmp_path / "pipe.mkv", engine=inverter, settings=part)
    painted, wanted = read_clip(tmp_path / "pipe.mkv"), read_clip(tmp_path / "file.mkv")
    assert painted.times == wanted.times
    for frame, same in zip(painted.frames, wanted.frames, strict=True):
        assert np.abs(frame.astype(int) - same).max() <= 1


@pytest.mark.parametrize("redirected", [False, True], ids=["pipe", "file"])
def test_standard_input_to_standard_output(
    tmp_path: Path, inverter_path: Path, redirected: bool
) -> None:
    plain = make_clip(tmp_path / "plain.mkv", IN_MATROSKA)
    words = ("video", "-", "-", "--strength", "0")
    if redirected:
        with plain.open("rb") as file:
            output, errors = run(tmp_path, inverter_path, *words, stdin=file).communicate()
    else:
        process = run(tmp_path, inverter_path, *words, stdin=subprocess.PIPE)
        output, errors = process.communicate(plain.read_bytes())
    assert output.startswith(MATROSKA)
    (tmp_path / "painted.mkv").write_bytes(output)
    check_same(read_clip(tmp_path / "painted.mkv"), read_clip(plain))
    assert b"standard input" in errors  # the progress
    assert b"-: 50 frames in" in errors
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("-")] == []


@pytest.mark.parametrize(
    ("name", "codec"), [("out.ts", "h264"), ("out.webm", "vp9"), ("out", "h264")]
)
def test_named_pipe_gets_what_its_name_says(
    tmp_path: Path, inverter: Engine, name: str, codec: str
) -> None:
    plain = make_clip(tmp_path / "plain.mp4", SPOKEN)
    with piped_out(tmp_path / name, tmp_path / "came"):
        report = paint_video(plain, tmp_path / name, engine=inverter)
    came = read_clip(tmp_path / "came")
    assert len(came.times) == report.stats.frames == 50
    assert [kind[:1] for kind in came.kinds] == [("video",), ("audio",)]
    assert came.kinds[0][1] == codec
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(("came", "plain.mp4", name))


def test_container_that_a_pipe_cannot_hold_is_refused(tmp_path: Path, inverter: Engine) -> None:
    os.mkfifo(tmp_path / "out.mp4")
    with pytest.raises(UserError, match=r"a pipe whose name ends in \.mkv or \.ts"):
        paint_video("pattern:testsrc", tmp_path / "out.mp4", engine=inverter)


def test_index_at_the_end_cannot_come_through_a_pipe(tmp_path: Path, inverter: Engine) -> None:
    noisy = Recipe(size=(320, 240), pts=range(100), options={"crf": "0"}, audio_seconds=(4.0,))
    plain = make_clip(tmp_path / "plain.mp4", noisy)
    assert plain.stat().st_size > 200_000
    with piped_in(tmp_path / "pipe", plain.read_bytes()), pytest.raises(UserError) as caught:
        paint_video(tmp_path / "pipe", tmp_path / "out.mp4", engine=inverter)
    assert "its index" in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()


def test_reader_that_goes_away_is_one_sentence(tmp_path: Path, inverter_path: Path) -> None:
    words = ("video", "pattern:testsrc", "-", "--duration", "1:00:00")
    process = run(tmp_path, inverter_path, *words, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(4) == MATROSKA
    process.stdout.close()
    with process.stderr:
        errors = process.stderr.read()
    assert process.wait(30) == 2
    assert b"cannot write standard output: " in errors
    assert b"Traceback" not in errors


def test_live_takes_a_pipe_as_it_comes(
    tmp_path: Path, inverter_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_clip(tmp_path / "plain.ts", SPOKEN)
    with piped_in(tmp_path / "camera.ts", plain.read_bytes()):
        command = ["live", str(tmp_path / "camera.ts"), "--no-window"]
        assert main([*command, "--style", str(inverter_path)]) == 0
    assert "camera.ts: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("location", "words"),
    [("missing.ts", "does not exist"), ("/dev/zero", "is neither a file nor a pipe")],
)
def test_what_is_no_pipe(tmp_path: Path, inverter: Engine, location: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        paint_video(location, tmp_path / "out.mp4", engine=inverter)
