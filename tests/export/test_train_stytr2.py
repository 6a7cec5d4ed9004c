"""The training of StyTr2."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")

from PIL import Image

from export.cli import main
from export.common import (
    sheets,
    training_loop,
)
from export.errors import ExportError
from export.families.stytr2 import train as training
from export.families.stytr2.loss import StyTr2LossConfig
from export.families.stytr2.onnx_file import write_stytr2_engine
from export.families.stytr2.train import StyTr2TrainConfig, load_trained_stytr2, train_stytr2
from tests.helpers.nets import check_resuming
from tests.helpers.stytr2 import LAYERS, OPTIONS, TINY, write_material

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path: Path) -> StyTr2TrainConfig:
    write_material(tmp_path)
    return StyTr2TrainConfig(
        photos=str(tmp_path / "photos"),
        pictures=str(tmp_path / "pictures"),
        steps=6,
        batch_size=2,
        crop=32,
        learning_rate=1e-3,
        warm_up=2,
        device="cpu",
        net=TINY,
        loss=StyTr2LossConfig(
            network=(str(tmp_path / "network.safetensors"),),
            content_layers=("relu2_1",),
            style_layers=LAYERS,
        ),
    )


def test_learning_rate_is_that_of_the_authors_code_at_first() -> None:
    config = StyTr2TrainConfig(photos="", pictures="")
    for step in (0, 1, 5_000, 10_000):
        theirs = 5e-4 * 0.1 * (1 + 3e-4 * step)
        assert config.learning_rate * config.rate(step) == pytest.approx(theirs)
    assert config.rate(100_000) < config.rate(50_000) < 1
    assert config.rate(config.steps) == pytest.approx(0.01)


def test_training_lowers_the_loss(
    config: StyTr2TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_loop, "LOG_EVERY", 1)
    train_stytr2(replace(config, steps=100, seed=1), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))

    def mean(part: list[dict[str, str]], name: str) -> float:
        return float(np.mean([float(row[name]) for row in part]))

    assert mean(rows[-20:], "style") < 0.5 * mean(rows[:5], "style")
    assert mean(rows[-20:], "identity") < 0.85 * mean(rows[:5], "identity")


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    config: StyTr2TrainConfig, tmp_path: Path
) -> None:
    check_resuming(
        train_stytr2,
        load_trained_stytr2,
        config,
        tmp_path,
        (training.StyTr2Loss, "forward"),
    )


def test_start_from_an_engine(config: StyTr2TrainConfig, tmp_path: Path) -> None:
    first = train_stytr2(config, tmp_path / "first")
    engine = tmp_path / "first.onnx"
    write_stytr2_engine(first, engine, {}, Path(config.photos))
    onward = replace(config, start_from=str(engine), learning_rate=0.0, steps=1)
    second = train_stytr2(onward, tmp_path / "second")
    for name, values in first.state_dict().items():
        # The file stores large tensors in half precision.
        torch.testing.assert_close(second.state_dict()[name], values, rtol=1e-3, atol=1e-4)
    other = replace(onward, net=replace(TINY, width=16))
    with pytest.raises(ExportError, match="another architecture"):
        train_stytr2(other, tmp_path / "third")


def test_sample_pictures_are_written(config: StyTr2TrainConfig, tmp_path: Path) -> None:
    train_stytr2(config, tmp_path / "run")
    with Image.open(tmp_path / "run" / "samples" / "000006.jpg") as sample:
        assert sample.size == (3 * sheets.TILE, 5 * sheets.TILE)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--out any.pt", "must end in .onnx"),
        ("--out any.onnx --pictures empty", "no photographs"),
        ("--out any.onnx --crop 36", "a multiple of 8 pixels, got 36"),
        ("--out any.onnx --heads 3", "--width 16 must be a multiple of --heads 3"),
        ("--out any.onnx --start-from network.safetensors", "is not an ONNX file"),
        ("--out any.onnx --style-layers relu9_1", "has no layer relu9_1"),
    ],
)
def test_bad_training_input_is_one_sentence_and_status_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: str,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_material(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main([*OPTIONS.split(), *options.split()]) == 2
    error = capsys.readouterr().err.splitlines()
    assert words in error[-1]
    assert not any("Traceback" in line for line in error)
    assert not list(tmp_path.glob("*.onnx"))
