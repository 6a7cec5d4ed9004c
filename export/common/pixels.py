"""Convert between uint8 pixels and the numbers in 0..1 that nets work on."""

import torch
from torch import Tensor


def to_unit(pixels: Tensor) -> Tensor:
    """Convert uint8 pixels to float32 in 0..1."""
    return pixels.to(torch.float32) / 255


def to_pixels(unit: Tensor) -> Tensor:
    """Convert numbers to uint8 pixels, clamped to 0..1."""
    return (unit.clamp(0, 1) * 255).round().to(torch.uint8)
