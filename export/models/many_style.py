"""One net for many styles, made for real time: conditional instance normalisation (Dumoulin,
Shlens, Kudlur: A Learned Representation for Artistic Style, ICLR 2017) in a net that works at a
quarter of the resolution."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.models.cells import (
    bias_of,
    binomial,
    from_cells,
    resizing_kernel,
    shuffled_bias,
    shuffled_kernel,
    to_cells,
)
from export.models.padding import padded, reflect_pad
from export.models.pixels import to_pixels, to_unit

CELL = 4
"""Pixels of a side that one place of the layers stands for."""


@dataclass(frozen=True)
class ManyStyleConfig:
    width: int = 64
    """Channels at a quarter of the resolution, where all of the work is done."""
    residual_blocks: int = 4
    decoder_width: int = 24
    """Channels at half of it; four times as many where they are computed, at a quarter."""


class ManyStyle(nn.Module):
    """RGB (N, 3, H, W), 0..1, H and W of at least 16, and style weights (N, S), each row's sum 1,
    to RGB of the same shape, about 0..1: it is clamped where a frame is made of it.

    A style is a row of `styles`: the scale and shift of each normalised channel. A mix of styles is
    the weighted mean of their rows (section 3.2 of the paper), so that it costs one pass.
    """

    def __init__(self, config: ManyStyleConfig, styles: int) -> None:
        super().__init__()
        self.config = config
        w, d = config.width, config.decoder_width
        self.encoder = nn.Conv2d(3 * CELL * CELL, w, 3)
        self.residual = nn.ModuleList(nn.Conv2d(w, w, 3) for _ in range(2 * config.residual_blocks))
        self.decoder = nn.Conv2d(w, d, 3)
        self.shuffle = nn.Conv2d(d, 3 * 2 * 2, 3)
        self.smooth = nn.Conv2d(3, 3, 3)
        channels = [w] * (1 + 2 * config.residual_blocks) + [d]
        self._splits = [channel for channel in channels for _ in range(2)]
        # Scales of 1 and shifts of 0, a little apart, or all styles would begin alike.
        initial = torch.cat([torch.cat([torch.ones(c), torch.zeros(c)]) for c in channels])
        self.styles = nn.Parameter(initial + 0.02 * torch.randn(styles, len(initial)))
        with torch.no_grad():
            self.smooth.weight.copy_(binomial(self.smooth.weight))
            nn.init.zeros_(bias_of(self.smooth))

    def forward(self, rgb: Tensor, weights: Tensor) -> Tensor:
        return self.paint_frames(rgb.permute(0, 2, 3, 1), weights).permute(0, 3, 1, 2)

    def paint_frames(self, frames: Tensor, weights: Tensor) -> Tensor:
        """Frames as they lie, (N, H, W, 3), to such frames, in bytes if they are bytes: pixels then
        become channels, and channels pixels, while they are bytes."""
        height, width = frames.shape[1], frames.shape[2]
        in_bytes = frames.dtype == torch.uint8
        cells = to_cells(reflect_pad(frames.permute(0, 3, 1, 2), 0, CELL).permute(0, 2, 3, 1), CELL)
        painted = self._paint_cells(to_unit(cells) if in_bytes else cells, weights)
        painted = from_cells(to_pixels(painted) if in_bytes else painted, CELL)
        return painted[:, :height, :width]

    def _paint_cells(self, cells: Tensor, weights: Tensor) -> Tensor:
        """Cells of 4x4 pixels, (N, H / 4, W / 4, 48), to such cells, (N, 48, H / 4, W / 4)."""
        affine = iter(torch.split(weights @ self.styles, self._splits, dim=1))
        # Padded as frames lie, which saves the runtime copies.
        x = functional.pad(2 * cells - 1, (0, 0, 1, 1, 1, 1), "reflect").permute(0, 3, 1, 2)
        x = self.encoder(x)
        x = functional.relu(_normalised(x, next(affine), next(affine)))
        for first, second in _pairs(self.residual):
            y = first(padded(x, "reflect"))
            y = functional.relu(_normalised(y, next(affine), next(affine)))
            y = second(padded(y, "reflect"))
            x = x + _normalised(y, next(affine), next(affine))
        # To half the resolution by a resize convolution, and to pixels by depth-to-space and a
        # blur: by depth-to-space alone its cells would show as a grid. Each place of a cell is
        # normalised for itself.
        kernel, bias = resizing_kernel(self.decoder.weight), bias_of(self.decoder)
        x = functional.conv2d(padded(x, "replicate"), kernel, bias.repeat(4))
        x = functional.relu(_normalised(x, next(affine).repeat(1, 4), next(affine).repeat(1, 4)))
        kernel = shuffled_kernel(self.shuffle.weight, self.smooth.weight)
        bias = shuffled_bias(bias_of(self.shuffle), self.smooth.weight, bias_of(self.smooth))
        return 0.5 + functional.conv2d(padded(x, "replicate"), kernel, bias)


def _pairs(layers: nn.ModuleList) -> Iterator[tuple[nn.Module, nn.Module]]:
    return zip(layers[::2], layers[1::2], strict=True)


def _normalised(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Equation 5: normalised over its pixels, times the style's scale plus its shift."""
    # In this order, in which OpenVINO makes no copy of what is normalised.
    return shift[..., None, None] + scale[..., None, None] * functional.instance_norm(x)
