"""Training WCT's decoders, and its compact encoder."""

import csv
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from engines import open_engine, read_card, style_of  # noqa: E402
from export import train_wct as training  # noqa: E402
from export.cli import main  # noqa: E402
from export.errors import ExportError  # noqa: E402
from export.train_wct import WctConfig, load_trained_wct, train_wct  # noqa: E402
from tests.nets import write_training_material  # noqa: E402

LEVELS = ("relu1_1", "relu2_1")

PARTS = ("weight", "bias")

DECODERS = tuple(f"decoders.{level}" for level in LEVELS)


@pytest.fixture
def config(tmp_path: Path) -> WctConfig:
    _style, photos, network = write_training_material(tmp_path)
    return WctConfig(
        photos=str(photos),
        teachers=(str(network),),
        levels=LEVELS,
        encoder_steps=5,
        steps=4,
        batch_size=2,
        crop=32,
        learning_rate=0.002,
        device="cpu",
    )


def test_encoder_and_decoders_learn_one_after_the_other(
    config: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(training, "WARM_UP", 1)
    train_wct(replace(config, steps=100, encoder_steps=40), tmp_path / "run")
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    wanted = {"encoder": 40, "relu1_1": 33, "relu2_1 to relu1_1": 27, "relu2_1": 40}
    assert [row["learns"] for row in rows] == [each for each in wanted for _ in range(wanted[each])]
    for phase in wanted:
        losses = [float(row["loss"]) for row in rows if row["learns"] == phase]
        assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])


def test_only_what_has_its_turn_changes(
    config: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    (tmp_path / "run").mkdir()

    def save(run, text, step, parts):
        saved.append({name: value.clone() for name, value in parts["net"].state_dict().items()})

    monkeypatch.setattr(training, "SAVE_EVERY", 1)
    monkeypatch.setattr(training, "save_checkpoint", save)
    train_wct(replace(config, encoder_steps=2, steps=6), tmp_path / "run")
    learned = ["encoder"] * 2 + [DECODERS[0]] * 2 + [DECODERS[1]] * 4
    for step, module in enumerate(learned[1:], start=1):
        changed = {
            name.partition(".convolutions")[0]
            for name, value in saved[step].items()
            if not torch.equal(value, saved[step - 1][name])
        }
        assert module in changed
        lifts = {f"lifts.{layer}.{part}" for layer in (*LEVELS, "relu1_2") for part in PARTS}
        assert changed <= {module, *lifts}


def test_a_deeper_decoder_begins_as_the_shallower_one(config: WctConfig) -> None:
    nets = training.Autoencoders(replace(config, encoder=config.teachers[0]))
    first, second = (nets.decoders[level].convolutions["conv1_1"].weight for level in LEVELS)
    torch.nn.init.normal_(first)
    nets.begin("relu2_1")
    assert torch.equal(first, second)


def test_interrupted_training_goes_on_as_if_it_had_not_been(
    config: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 3)
    whole = train_wct(config, tmp_path / "whole")
    real = training._lessons
    calls = []

    def pull_the_plug_at_step_4(teachers, rgb):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(teachers, rgb)

    monkeypatch.setattr(training, "_lessons", pull_the_plug_at_step_4)
    with pytest.raises(KeyboardInterrupt):
        train_wct(config, tmp_path / "halves")
    assert load_trained_wct(tmp_path / "halves" / "checkpoint.pt")[2] == 3
    monkeypatch.setattr(training, "_lessons", real)
    resumed = train_wct(config, tmp_path / "halves")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_decoders_for_an_encoder_that_is_there(config: WctConfig, tmp_path: Path) -> None:
    """Of a VGG, which then does not change."""
    (network,) = config.teachers
    before = training.load_loss_network(network, LEVELS).state_dict()
    nets = train_wct(replace(config, encoder=network, learning_rate=1e-3), tmp_path / "run")
    for name, value in before.items():
        assert torch.equal(nets.encoder.state_dict()[name], value)


def test_the_command_writes_an_engine(config: WctConfig, tmp_path: Path) -> None:
    out = tmp_path / "wct.onnx"
    given = [
        *["train", "wct", "--photos", config.photos, "--teachers", config.teachers[0]],
        *["--levels", ",".join(LEVELS), "--steps", "3", "--batch-size", "2", "--crop", "32"],
        *["--encoder-steps", "2", "--device", "cpu"],
    ]
    assert main([*given, "--out", str(out)]) == 0
    card = read_card(out)
    assert card.family == "wct"
    assert card.parts == LEVELS
    assert card.verification["worst_psnr_db"] > 40
    (command,) = card.training["commands"]
    assert "--teachers network.safetensors" in command
    assert str(tmp_path) not in command
    frames = np.zeros((1, 40, 50, 3), np.uint8)
    with open_engine(out, "openvino", "cpu", "fp32") as engine:
        assert engine.paint(frames, style_of(card, frames, LEVELS)).shape == frames.shape
    again = tmp_path / "again.onnx"
    checkpoint = tmp_path / "wct.run" / "checkpoint.pt"
    assert main(["onnx", str(checkpoint), str(again), "--photos", config.photos]) == 0
    assert read_card(again).training == card.training


def test_two_processes_share_the_work(config: WctConfig, tmp_path: Path) -> None:
    """By torchrun, on the CPU; several GPUs are not at hand."""
    torchrun = shutil.which("torchrun")
    program = shutil.which("streamstyle-export")
    assert torchrun is not None
    assert program is not None
    out = tmp_path / "shared.onnx"
    given = [
        *["train", "wct", "--photos", config.photos, "--teachers", config.teachers[0]],
        *["--levels", ",".join(LEVELS), "--steps", "4", "--batch-size", "2", "--crop", "32"],
        *["--encoder-steps", "5", "--device", "cpu", "--learning-rate", "0.002"],
        *["--out", str(out)],
    ]
    command = [torchrun, "--nproc-per-node", "2", "--no-python", program, *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert out.exists()
    alone = train_wct(config, tmp_path / "alone")
    together, _, step = load_trained_wct(tmp_path / "shared.run" / "checkpoint.pt")
    assert step == config.encoder_steps + config.steps
    # The mean of two gradients of one picture each is that of both, but for the relative losses.
    for name, value in alone.encoder.state_dict().items():
        torch.testing.assert_close(together.encoder.state_dict()[name], value, atol=0.01, rtol=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"levels": ("relu7_1",)}, "levels are some of"),
        ({"photos": "nowhere"}, "no photographs"),
        ({"encoder": "missing.safetensors"}, "no loss network"),
    ],
)
def test_bad_settings(config: WctConfig, tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        train_wct(replace(config, **changes), tmp_path / "run")


def test_another_training_is_not_gone_on_with(config: WctConfig, tmp_path: Path) -> None:
    train_wct(replace(config, steps=1), tmp_path / "run")
    with pytest.raises(ExportError, match="other settings"):
        train_wct(replace(config, steps=2), tmp_path / "run")
