"""Painting by optimization."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from export.cli import main
from export.common.losses import LossConfig, PerceptualLoss
from export.common.vgg import LossNetwork
from export.families.gatys import optimized
from tests.helpers.nets import small_vgg, write_training_material

LAYERS = ["--content-layers", "relu2_1", "--style-layers", "relu1_1,relu2_1"]


def test_optimising_lowers_the_loss_from_step_to_step() -> None:
    config = LossConfig(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))
    network = LossNetwork(small_vgg(), ("relu1_1", "relu2_1"), "reflect")
    chance = torch.Generator().manual_seed(0)
    photo = torch.rand(1, 3, 40, 52, generator=chance)
    picture = torch.rand(1, 3, 33, 47, generator=chance) ** 3
    losses: list[float] = []
    loss = PerceptualLoss(config, network)
    painted = optimized(photo, loss.statistics(picture), loss, 60, losses.append)
    assert painted.shape == photo.shape
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert len(losses) <= 60
    assert losses[-1] < 0.2 * losses[0]


def test_the_command_paints_a_photograph(tmp_path: Path) -> None:
    style, photos, network = write_training_material(tmp_path)
    out = tmp_path / "painted.png"
    photo = photos / "0.jpg"
    arguments = ["gatys", str(photo), str(style), "--out", str(out), "--network", str(network)]
    assert main([*arguments, *LAYERS, "--steps", "20", "--side", "48"]) == 0
    painted = np.asarray(Image.open(out)).astype(float)
    original = np.asarray(Image.open(photo).resize(painted.shape[1::-1])).astype(float)
    assert painted.shape == (48, 62, 3)
    assert np.abs(painted - original).mean() > 5
    assert main([*arguments, *LAYERS]) == 2  # the output exists


@pytest.mark.parametrize(
    ("photo", "out", "complaint"),
    [("missing.jpg", "out.png", "missing.jpg"), ("style.png", "out.tif", ".png or .jpg")],
)
def test_bad_input_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], photo: str, out: str, complaint: str
) -> None:
    style, _photos, network = write_training_material(tmp_path)
    arguments = ["gatys", str(tmp_path / photo), str(style), "--out", str(tmp_path / out)]
    assert main([*arguments, "--network", str(network), *LAYERS]) == 2
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / out).exists()
