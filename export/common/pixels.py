"""Pixels of 0..255 as the numbers of 0..1 that nets work on, and back."""

import torch
from torch import Tensor


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 to float32, 0..1."""
    return pixels.to(torch.float32) / 255


def to_pixels(unit: Tensor) -> Tensor:
    """About 0..1 to uint8."""
    return (unit.clamp(0, 1) * 255).round().to(torch.uint8)
