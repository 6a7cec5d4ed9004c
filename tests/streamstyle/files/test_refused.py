"""If the system refuses to read or write, the error is one sentence and no file is left."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamstyle.cli.main import main
from tests.helpers.clips import Recipe, make_clip

LONG = "n" * 300
"""A file name that is too long."""

FULL = "n" * 248
"""A file name that fits with its suffix, but not with the suffix of an incomplete file."""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("video in.mp4 in.mp4/frames/ --style {inverter}", "in.mp4/frames: not a directory"),
        ("video in.mp4 /proc/frames/ --style {inverter}", "cannot make the folder /proc/frames"),
        (f"video in.mp4 {FULL}.mp4 --style {{inverter}}", ".partial.mp4: file name too long"),
        (f"video {LONG}.mp4 out.mp4 --style {{inverter}}", ".mp4: file name too long"),
        ("image photo.png /proc/out.png --style {inverter}", "cannot write /proc/out.png: no such"),
        (f"image photo.png {FULL}.png --style {{inverter}}", "nn.png: file name too long"),
        (f"image photo.png out.png --style-image {LONG}.png", ".png: file name too long"),
        ("texture photo.png -o /proc/out.png --size 32x32 --model {wct}", "cannot write /proc"),
        ("texture photo.png -o out.webp --size 16400x16 --model {wct}", "limit of 16383 pixels"),
    ],
)
def test_what_is_refused_is_one_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    inverter_path: Path,
    wct_path: Path,
    command: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "in.mp4", Recipe(pts=range(3)))
    Image.fromarray(np.full((48, 64, 3), 200, np.uint8)).save(tmp_path / "photo.png")
    given = command.format(inverter=inverter_path, wct=wct_path)
    levels = ["--levels", "2", "--passes", "1"] if command.startswith("texture") else []
    assert main([*given.split(), *levels]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("streamstyle: ")
    assert words in last
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "photo.png"]
