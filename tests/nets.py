"""Small stand-ins for what the training needs: a loss network and photographs."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor


def small_vgg() -> dict[str, Tensor]:
    """Random weights of a VGG that ends at conv2_1."""
    generator = torch.Generator().manual_seed(1)
    shapes = {"conv0": (3, 3, 1), "conv1_1": (4, 3, 3), "conv1_2": (4, 4, 3), "conv2_1": (8, 4, 3)}
    weights = {}
    for name, (outputs, inputs, kernel) in shapes.items():
        shape = (outputs, inputs, kernel, kernel)
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / inputs**0.5
        weights[f"{name}.bias"] = torch.randn(outputs, generator=generator) / 10
    return weights


def write_training_material(folder: Path) -> tuple[Path, Path, Path]:
    """A style picture, a folder of photographs, and a loss network in a file."""
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
