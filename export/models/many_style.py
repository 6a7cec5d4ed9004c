"""One net for many styles, made for real time: conditional instance normalisation (Dumoulin,
Shlens, Kudlur: A Learned Representation for Artistic Style, ICLR 2017) in a net that works at a
quarter of the resolution."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.padding import reflect_pad

CELL = 4
"""Pixels of a side that one place of the inner layers stands for."""


@dataclass(frozen=True)
class ManyStyleConfig:
    width: int = 64
    """Channels at a quarter of the resolution, where nearly all of the work is done."""
    residual_blocks: int = 5


class ManyStyle(nn.Module):
    """RGB (N, 3, H, W), 0..1, H and W of at least 16, and style weights (N, S), each row's sum 1,
    to RGB of the same shape, about 0..1: it is clamped where a frame is made of it.

    A style is a row of `styles`: the scale and shift of each normalised channel. A mix of styles is
    the weighted mean of their rows (section 3.2 of the paper), so that it costs one pass.
    """

    def __init__(self, config: ManyStyleConfig, styles: int) -> None:
        super().__init__()
        self.config = config
        w = config.width
        self.encoder = _Convolution(3 * CELL * CELL, w)
        self.residual = nn.ModuleList(_Convolution(w, w) for _ in range(2 * config.residual_blocks))
        self.decoder = _Convolution(w, w // 2)
        self.to_cells = _Convolution(w // 2, 3 * (CELL // 2) ** 2)
        self.smooth = _Convolution(3, 3)
        channels = [w] * (1 + 2 * config.residual_blocks) + [w // 2]
        self._splits = [channel for channel in channels for _ in range(2)]
        # Scales of 1 and shifts of 0, a little apart, or all styles would begin alike.
        initial = torch.cat([torch.cat([torch.ones(c), torch.zeros(c)]) for c in channels])
        self.styles = nn.Parameter(initial + 0.02 * torch.randn(styles, len(initial)))
        _make_binomial(self.smooth.convolution)

    def forward(self, rgb: Tensor, weights: Tensor) -> Tensor:
        height, width = rgb.shape[-2], rgb.shape[-1]
        affine = iter(torch.split(weights @ self.styles, self._splits, dim=1))
        x = functional.pixel_unshuffle(reflect_pad(2 * rgb - 1, 0, CELL), CELL)
        x = functional.relu(_conditional_norm(self.encoder(x), affine))
        for block in range(self.config.residual_blocks):
            first, second = self.residual[2 * block], self.residual[2 * block + 1]
            y = functional.relu(_conditional_norm(first(x), affine))
            x = x + _conditional_norm(second(y), affine)
        # Not by depth-to-space alone, whose cells would show as a grid.
        x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = functional.relu(_conditional_norm(self.decoder(x), affine))
        x = self.smooth(functional.pixel_shuffle(self.to_cells(x), CELL // 2))
        result: Tensor = 0.5 + x[..., :height, :width]
        return result


class _Convolution(nn.Module):
    """3x3, at reflected borders."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, 3)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # which would pad in float32, slowly
            x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        result: Tensor = self.convolution(x)
        return result


def _conditional_norm(x: Tensor, affine: Iterator[Tensor]) -> Tensor:
    """Equation 5: normalised over its pixels, times the style's scale plus its shift."""
    scale, shift = next(affine), next(affine)
    return functional.instance_norm(x) * scale[..., None, None] + shift[..., None, None]


def _make_binomial(convolution: nn.Conv2d) -> None:
    """Begin as a blur of each channel for itself."""
    line = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = line[:, None] * line
    with torch.no_grad():
        convolution.weight.zero_()
        for channel in range(convolution.out_channels):
            convolution.weight[channel, channel] = kernel
        nn.init.zeros_(convolution.bias)  # type: ignore[arg-type]
