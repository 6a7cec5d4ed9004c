"""Small stand-ins for what training needs: a loss network and photographs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from export.common import training_loop
from export.common.vgg import LossNetwork


def small_vgg() -> dict[str, Tensor]:
    """Return random weights of a VGG that ends at conv2_1."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"conv0": (3, 3, 1), "conv1_1": (4, 3, 3), "conv1_2": (4, 4, 3), "conv2_1": (8, 4, 3)}
    weights = {}
    for name, (outputs, inputs, kernel) in shapes.items():
        shape = (outputs, inputs, kernel, kernel)
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / inputs**0.5
        weights[f"{name}.bias"] = torch.randn(outputs, generator=generator) / 10
    return weights


def vgg_to_relu5_1() -> LossNetwork:
    """Return a VGG-19 up to relu5_1 with few channels and random weights."""
    return LossNetwork(_vgg19_weights(), None, padding="reflect")


def write_vgg_to_relu5_1(path: Path) -> None:
    save_file(_vgg19_weights(), path)


def _vgg19_weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    names = [
        f"conv{b}_{i}" for b, count in enumerate((2, 2, 4, 4, 1), 1) for i in range(1, 1 + count)
    ]
    weights = {"conv0.weight": torch.eye(3)[..., None, None], "conv0.bias": torch.zeros(3)}
    inputs = 3
    for name in names:
        outputs = 4 + 2 * int(name[4])
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator)
        weights[f"{name}.weight"] = weight / (4.5 * inputs) ** 0.5
        weights[f"{name}.bias"] = torch.zeros(outputs)
        inputs = outputs
    return weights


def write_training_material(folder: Path) -> tuple[Path, Path, Path]:
    """Write a style picture, a folder of photographs and a loss network; return their paths."""
    random = np.random.default_rng(0)
    photos = folder / "photos"
    photos.mkdir()
    for number in range(4):
        coarse = random.integers(0, 256, (4, 5, 3), np.uint8)
        Image.fromarray(coarse).resize((90, 70)).save(photos / f"{number}.jpg")
    style = folder / "style.png"
    Image.fromarray(random.integers(0, 256, (60, 60, 3), np.uint8)).save(style)
    network = folder / "network.safetensors"
    save_file(small_vgg(), network)
    return style, photos, network


def check_resuming(
    train: Callable[[Any, Path], nn.Module],
    load: Callable[[Path], tuple[nn.Module, Any, int]],
    config: Any,
    folder: Path,
    interrupted: tuple[object, str],
) -> None:
    """Assert that a training interrupted at its fifth step ends with the bits of a whole one.

    `interrupted` is an owner and the name of its function, called once a step, that Ctrl-C
    interrupts.
    """
    owner, name = interrupted
    real = getattr(owner, name)
    calls = []

    def pull_the_plug_at_step_5(*given: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return real(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_loop, "SAVE_EVERY", 3)
        whole = train(config, folder / "whole")
        patch.setattr(owner, name, pull_the_plug_at_step_5)
        with pytest.raises(KeyboardInterrupt):
            train(config, folder / "halves")
        assert load(folder / "halves" / "checkpoint.pt")[2] == 3
        patch.setattr(owner, name, real)
        resumed = train(config, folder / "halves")
    for key, values in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], values), key
