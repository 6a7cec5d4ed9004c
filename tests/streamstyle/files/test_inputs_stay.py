"""A file that is read is never replaced, however it is named, even with --overwrite."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamstyle.cli.main import main
from tests.helpers.clips import make_clip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    (tmp_path / "frames").mkdir()
    for name in ("photo.png", "picture.png", "frames/000001.png"):
        Image.fromarray(noise).save(tmp_path / name)
    make_clip(tmp_path / "in.mp4")
    return tmp_path


ELSEWHERE = "--style {inverter} --mask photo.png --levels 2 --elsewhere {wct}"


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("video file://{folder}/in.mp4 in.mp4 --style {inverter}", "in.mp4"),
        (f"image photo.png picture.png {ELSEWHERE}:picture.png", "picture.png"),
        (f"video in.mp4 frames/ {ELSEWHERE}:frames/000001.png", "frames/000001.png"),
        (
            "video in.mp4 frames/ --style {wct} --levels 2 --style-image frames/000001.png",
            "frames/000001.png",
        ),
        ("styles --sheet photo.png --photo photo.png", "photo.png"),
        ("styles --sheet frames/000001.png --photo frames", "frames/000001.png"),
    ],
)
def test_input_stays_as_it_is(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    inverter_path: Path,
    wct_path: Path,
    command: str,
    kept: str,
) -> None:
    before = (folder / kept).read_bytes()
    given = command.format(folder=folder, inverter=inverter_path, wct=wct_path)
    assert main([*given.split(), "--overwrite"]) == 2
    assert f"{kept} is the input itself" in capsys.readouterr().err
    assert (folder / kept).read_bytes() == before
