"""One net for many styles, made for real time.

It has conditional instance normalization (Dumoulin, Shlens, Kudlur: A Learned Representation for
Artistic Style, ICLR 2017) and works at a quarter of the resolution.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.common.padding import padded, reflect_pad
from export.common.pixels import to_pixels, to_unit
from export.common.space_to_depth import (
    bias_of,
    binomial,
    depth_to_space,
    resizing_kernel,
    shuffled_bias,
    shuffled_kernel,
    space_to_depth,
)

CELL = 4
"""Side in pixels of the cell that one position of the layers stands for."""


@dataclass(frozen=True)
class ManyStyleConfig:
    """Sizes of the net."""

    width: int = 64
    """Channels at a quarter of the resolution, where all the work is done."""
    residual_blocks: int = 4
    dilation: int = 2
    """Dilation of the first convolution in inner residual blocks: they see large shapes at no cost.

    The first and last block always see direct neighbors.
    """
    decoder_width: int = 24
    """Channels at half the resolution.

    They are computed at a quarter of the resolution, as four times as many channels.
    """


class Trunk(nn.Module):
    """The net that paints; a row with scale and shift of each normalized channel sets the style.

    It maps RGB (N, 3, H, W) in 0..1 to RGB of the same shape, about 0..1; H and W are at least 16.
    The output is clamped only when it becomes a frame. Rows are (N, R).
    """

    def __init__(self, config: ManyStyleConfig) -> None:
        super().__init__()
        self.config = config
        w, d = config.width, config.decoder_width
        self.encoder = nn.Conv2d(3 * CELL * CELL, w, 3)
        self.residual = nn.ModuleList()
        for block in range(config.residual_blocks):
            inner = 0 < block < config.residual_blocks - 1
            first = nn.Conv2d(w, w, 3, dilation=config.dilation if inner else 1)
            self.residual += [first, nn.Conv2d(w, w, 3)]
        self.decoder = nn.Conv2d(w, d, 3)
        self.shuffle = nn.Conv2d(d, 3 * 2 * 2, 3)
        self.smooth = nn.Conv2d(3, 3, 3)
        channels = [w] * (1 + 2 * config.residual_blocks) + [d]
        self._splits = [channel for channel in channels for _ in range(2)]
        with torch.no_grad():
            self.smooth.weight.copy_(binomial(self.smooth.weight))
            nn.init.zeros_(bias_of(self.smooth))

    def plain_row(self) -> Tensor:
        """Return a row of scales 1 and shifts 0, (R,)."""
        scales_shifts = zip(self._splits[::2], self._splits[1::2], strict=True)
        return torch.cat([torch.cat([torch.ones(a), torch.zeros(b)]) for a, b in scales_shifts])

    def paint(self, rgb: Tensor, rows: Tensor) -> Tensor:
        """Paint pictures (N, 3, H, W), each in the style of its row."""
        return self.paint_pixels(rgb.permute(0, 2, 3, 1), rows).permute(0, 3, 1, 2)

    def paint_pixels(self, frames: Tensor, rows: Tensor) -> Tensor:
        """Paint frames (N, H, W, 3), uint8 or float, each in the style of its row.

        Frames that come as uint8 are returned as uint8. They are then converted to cells and back
        while they are bytes, which moves less data.
        """
        height, width = frames.shape[1], frames.shape[2]
        in_bytes = frames.dtype == torch.uint8
        whole = reflect_pad(frames.permute(0, 3, 1, 2), 0, CELL).permute(0, 2, 3, 1)
        cells = space_to_depth(whole, CELL)
        painted = self._paint_cells(to_unit(cells) if in_bytes else cells, rows)
        painted = depth_to_space(to_pixels(painted) if in_bytes else painted, CELL)
        return painted[:, :height, :width]

    def _paint_cells(self, cells: Tensor, rows: Tensor) -> Tensor:
        """Paint cells of 4x4 pixels: (N, H / 4, W / 4, 48) to (N, 48, H / 4, W / 4)."""
        affine = iter(torch.split(rows, self._splits, dim=1))
        # Padded while channels are last, which saves the runtime copies.
        x = functional.pad(2 * cells - 1, (0, 0, 1, 1, 1, 1), "reflect").permute(0, 3, 1, 2)
        x = self.encoder(x)
        x = functional.relu(_normalized(x, next(affine), next(affine)))
        for first, second in _pairs(self.residual):
            y = first(padded(x, "reflect", first.dilation[0]))
            y = functional.relu(_normalized(y, next(affine), next(affine)))
            y = second(padded(y, "reflect"))
            x = x + _normalized(y, next(affine), next(affine))
        # A resize convolution leads to half the resolution, depth-to-space and a blur to pixels:
        # without the blur, cells would show as a grid. Each position of a cell is normalized
        # separately.
        kernel, bias = resizing_kernel(self.decoder.weight), bias_of(self.decoder)
        x = functional.conv2d(padded(x, "replicate"), kernel, bias.repeat(4))
        x = functional.relu(_normalized(x, next(affine).repeat(1, 4), next(affine).repeat(1, 4)))
        kernel = shuffled_kernel(self.shuffle.weight, self.smooth.weight)
        bias = shuffled_bias(bias_of(self.shuffle), self.smooth.weight, bias_of(self.smooth))
        return 0.5 + functional.conv2d(padded(x, "replicate"), kernel, bias)


class ManyStyle(Trunk):
    """A trunk with a row for each style that it has learned.

    A mix of styles is the weighted mean of their rows (section 3.2 of the paper), so it costs one
    pass.
    """

    def __init__(self, config: ManyStyleConfig, styles: int) -> None:
        super().__init__(config)
        # Noise sets the styles apart; otherwise all would begin alike.
        plain = self.plain_row()
        self.styles = nn.Parameter(plain + 0.02 * torch.randn(styles, len(plain)))

    def forward(self, rgb: Tensor, weights: Tensor) -> Tensor:
        """Paint pictures (N, 3, H, W) in styles with the weights (N, S), whose rows sum to 1."""
        return self.paint(rgb, weights @ self.styles)

    def paint_frames(self, frames: Tensor, weights: Tensor) -> Tensor:
        """Paint frames (N, H, W, 3) in styles with the weights (N, S)."""
        return self.paint_pixels(frames, weights @ self.styles)


def _pairs(layers: nn.ModuleList) -> Iterator[tuple[nn.Conv2d, nn.Conv2d]]:
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    return zip(convolutions[::2], convolutions[1::2], strict=True)


def _normalized(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Apply equation 5: normalize over the pixels, then apply the style's scale and shift."""
    # In this order OpenVINO does not copy the normalized values.
    return shift[..., None, None] + scale[..., None, None] * functional.instance_norm(x)
