"""The training of WCT's networks."""

import csv
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from engines import open_engine, read_card, style_of
from engines.wct import transform as wct
from export.cli import main
from export.errors import ExportError
from export.families.wct import train as training
from export.families.wct.config import WctConfig
from export.families.wct.train import load_trained_wct, train_wct
from export.families.wct.transfer import transferred
from tests.helpers.nets import write_training_material, write_vgg_to_relu5_1

pytestmark = pytest.mark.slow

LEVELS = ("relu1_1", "relu2_1")


@pytest.fixture
def config(tmp_path: Path) -> WctConfig:
    _style, photos, network = write_training_material(tmp_path)
    return WctConfig(
        photos=str(photos),
        teachers=(str(network),),
        levels=LEVELS,
        steps=9,
        batch_size=2,
        crop=32,
        learning_rate=0.002,
        device="cpu",
    )


@pytest.fixture
def styled(config: WctConfig, tmp_path: Path) -> WctConfig:
    network = tmp_path / "deep.safetensors"
    write_vgg_to_relu5_1(network)
    return replace(config, pictures=config.photos, style_steps=6, network=(str(network),), crop=64)


def learning(run: Path) -> dict[str, list[float]]:
    """Return the losses of each phase, in the order of the phases."""
    losses: dict[str, list[float]] = {}
    with (run / "log.csv").open() as file:
        for row in csv.DictReader(file):
            losses.setdefault(row["learns"], []).append(float(row["loss"]))
    return losses


def fell(losses: list[float]) -> bool:
    return bool(np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8]))


def test_levels_learn_one_after_the_other(
    styled: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(training, "WARM_UP", 1)
    train_wct(replace(styled, steps=90, style_steps=60), tmp_path / "run")
    losses = learning(tmp_path / "run")
    wanted = {"relu1_1": 30, "relu2_1": 60, "relu1_1 styled": 20, "relu2_1 styled": 40}
    assert {phase: len(values) for phase, values in losses.items()} == wanted
    assert list(losses) == list(wanted)
    assert fell(losses["relu1_1"])
    assert fell(losses["relu2_1"])
    assert np.mean(losses["relu2_1 styled"][-8:]) < np.mean(losses["relu2_1 styled"][:8])


def test_a_vggs_decoders_learn_first_what_the_shallower_does_not_know(
    config: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LOG_EVERY", 1)
    monkeypatch.setattr(training, "WARM_UP", 1)
    train_wct(replace(config, encoder=config.teachers[0], steps=100), tmp_path / "run")
    losses = learning(tmp_path / "run")
    wanted = {"relu1_1": 33, "relu2_1 to relu1_1": 27, "relu2_1": 40}
    assert {phase: len(values) for phase, values in losses.items()} == wanted
    assert all(fell(values) for values in losses.values())


def test_only_what_has_its_turn_changes(
    styled: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = []
    (tmp_path / "run").mkdir()

    def save(run, text, step, parts):
        saved.append({name: value.clone() for name, value in parts["net"].state_dict().items()})

    monkeypatch.setattr(training, "SAVE_EVERY", 1)
    monkeypatch.setattr(training, "save_checkpoint", save)
    train_wct(replace(styled, steps=6, style_steps=6), tmp_path / "run")
    turns = ["relu1_1"] * 2 + ["relu2_1"] * 4 + ["relu1_1"] * 2 + ["relu2_1"] * 4
    for step, level in enumerate(turns[1:], start=1):
        changed = {
            name
            for name, value in saved[step].items()
            if not torch.equal(value, saved[step - 1][name])
        }
        assert changed
        assert all(name.startswith((f"nets.{level}.", f"projections.{level}.")) for name in changed)
        if step >= 6:  # in styled phases, encoders do not learn
            assert not any(".encoder." in name or "projections." in name for name in changed)


def test_a_deeper_net_begins_as_the_shallower_one(config: WctConfig) -> None:
    nets = training.Autoencoders(replace(config, encoder=config.teachers[0]))
    first, second = (nets.nets[level].decoder.convolutions["conv1_1"].weight for level in LEVELS)
    torch.nn.init.normal_(first)
    nets.start_level("relu2_1")
    assert torch.equal(first, second)
    compact = training.Autoencoders(replace(config, levels=("relu3_1", "relu4_1")))
    compact.start_level("relu4_1")
    shallow, deep = (compact.nets[level] for level in ("relu3_1", "relu4_1"))
    assert torch.equal(shallow.encoder[1].weight, deep.encoder[1].weight)
    assert torch.equal(shallow.residual.first.weight, deep.residual.first.weight)


def test_colored_features_have_the_statistics_of_the_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wct, "FLOOR", 1e-6)
    chance = torch.Generator().manual_seed(0)
    content = torch.randn(2, 5, 20, 20, generator=chance)
    style = 3 * torch.randn(2, 5, 16, 24, generator=chance) + 1
    colored = transferred(content, style)
    assert colored.shape == content.shape
    for made, wanted in zip(colored, style, strict=True):
        torch.testing.assert_close(made.mean(dim=(1, 2)), wanted.mean(dim=(1, 2)))
        covariances = (torch.cov(x.flatten(1), correction=0) for x in (made, wanted))
        torch.testing.assert_close(*covariances, atol=0.01, rtol=0.01)


@pytest.mark.parametrize("before", [5, 13])
def test_interrupted_training_goes_on_as_if_it_had_not_been(
    styled: WctConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    monkeypatch.setattr(training, "SAVE_EVERY", 3)
    whole = train_wct(styled, tmp_path / "whole")
    real = training.optimizer_step
    calls = []

    def pull_the_plug(*given):
        calls.append(1)
        if len(calls) == before:
            raise KeyboardInterrupt
        return real(*given)

    monkeypatch.setattr(training, "optimizer_step", pull_the_plug)
    with pytest.raises(KeyboardInterrupt):
        train_wct(styled, tmp_path / "halves")
    assert load_trained_wct(tmp_path / "halves" / "checkpoint.pt")[2] == before // 3 * 3
    monkeypatch.setattr(training, "optimizer_step", real)
    resumed = train_wct(styled, tmp_path / "halves")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_decoders_for_an_encoder_that_is_there(config: WctConfig, tmp_path: Path) -> None:
    """With a VGG as the encoder, only the decoders change."""
    (network,) = config.teachers
    before = training.load_loss_network(network, LEVELS).state_dict()
    nets = train_wct(replace(config, encoder=network, learning_rate=1e-3), tmp_path / "run")
    for name, value in before.items():
        assert torch.equal(nets.nets["relu2_1"].encoder.state_dict()[name], value)


def test_the_command_writes_an_engine(styled: WctConfig, tmp_path: Path) -> None:
    config = styled
    out = tmp_path / "wct.onnx"
    given = [
        *["train", "wct", "--photos", config.photos, "--teachers", config.teachers[0]],
        *["--levels", LEVELS[0], "--steps", "3", "--batch-size", "2", "--crop", "64"],
        *["--pictures", config.pictures, "--style-steps", "3", "--network", *config.network],
        *["--device", "cpu"],
    ]
    assert main([*given, "--out", str(out)]) == 0
    card = read_card(out)
    assert card.family == "wct"
    assert card.parts == LEVELS[:1]
    assert card.verification["worst_psnr_db"] > 40
    (command,) = card.training["commands"]
    assert "--pictures PICTURES" in command
    assert "--teachers network.safetensors" in command
    assert str(tmp_path) not in command
    frames = np.zeros((1, 40, 50, 3), np.uint8)
    with open_engine(out, "openvino", "cpu", "fp32") as engine:
        assert engine.paint(frames, style_of(card, frames, LEVELS[:1])).shape == frames.shape
    again = tmp_path / "again.onnx"
    checkpoint = tmp_path / "wct.run" / "checkpoint.pt"
    assert main(["onnx", str(checkpoint), str(again), "--photos", config.photos]) == 0
    assert read_card(again).training == card.training


def test_training_goes_on_from_an_engine(config: WctConfig, wct_path: Path, tmp_path: Path) -> None:
    """Only one level is trained; the file keeps the other unchanged."""
    out = tmp_path / "out.onnx"
    given = [
        *["train", "wct", "--photos", config.photos, "--teachers", config.teachers[0]],
        *["--levels", ",".join(LEVELS), "--steps", "3", "--batch-size", "2", "--crop", "32"],
        *["--start-from", str(wct_path), "--learned", "relu2_1", "--learning-rate", "0.01"],
    ]
    assert main([*given, "--out", str(out)]) == 0
    assert read_card(out).parts == LEVELS
    earlier, command = read_card(out).training["commands"]
    assert [earlier] == read_card(wct_path).training["commands"]
    assert "--start-from wct.onnx" in command
    before, after = (
        {tensor.name: tensor.raw_data for tensor in onnx.load(path).graph.initializer}
        for path in (wct_path, out)
    )
    changed = {name for name in before if "/net." in name and before[name] != after[name]}
    assert changed
    assert all(name.startswith("relu2_1/") for name in changed)


def test_two_processes_share_the_work(config: WctConfig, tmp_path: Path) -> None:
    """Runs torchrun on the CPU, because no test machine has several GPUs."""
    torchrun = shutil.which("torchrun")
    program = shutil.which("streamstyle-export")
    assert torchrun is not None
    assert program is not None
    out = tmp_path / "shared.onnx"
    given = [
        *["train", "wct", "--photos", config.photos, "--teachers", config.teachers[0]],
        *["--levels", LEVELS[0], "--steps", "9", "--batch-size", "2", "--crop", "32"],
        *["--device", "cpu", "--learning-rate", "0.002"],
        *["--out", str(out)],
    ]
    command = [torchrun, "--nproc-per-node", "2", "--no-python", program, *given]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert out.exists()
    alone = train_wct(replace(config, levels=LEVELS[:1]), tmp_path / "alone")
    together, _, step = load_trained_wct(tmp_path / "shared.run" / "checkpoint.pt")
    assert step == config.steps
    # Two processes average their gradients; only the relative losses make a difference.
    for name, value in alone.nets.state_dict().items():
        torch.testing.assert_close(together.nets.state_dict()[name], value, atol=0.01, rtol=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"levels": ("relu7_1",)}, "--levels must be some of"),
        ({"photos": "nowhere"}, "no photographs"),
        ({"encoder": "missing.safetensors"}, "no loss network"),
        ({"style_steps": 5}, "a folder of --pictures"),
        ({"learned": ("relu3_1",)}, "--learned must be some of"),
        ({"start_from": "wct.onnx", "encoder": "vgg19"}, "which have no --encoder"),
    ],
)
def test_bad_settings(config: WctConfig, tmp_path: Path, changes: dict, words: str) -> None:
    with pytest.raises(ExportError, match=words):
        train_wct(replace(config, **changes), tmp_path / "run")


def test_another_training_is_not_gone_on_with(config: WctConfig, tmp_path: Path) -> None:
    train_wct(replace(config, steps=1), tmp_path / "run")
    with pytest.raises(ExportError, match="other settings"):
        train_wct(replace(config, steps=2), tmp_path / "run")
