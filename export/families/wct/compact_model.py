"""Autoencoders for WCT that paint in real time.

Their features stand for those of VGG-19's levels, with the same stride and, as in Collaborative
Distillation (Wang et al., CVPR 2020), a quarter of the channels. They are computed in another way:
VGG has most of its work at full resolution, where these nets only convert between pixels and cells.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.common.padding import padded
from export.common.space_to_depth import (
    bias_of,
    binomial,
    cell_kernel,
    resizing_kernel,
    shuffled_bias,
    shuffled_kernel,
)
from export.families.wct.model import Autoencoder, number

CHANNELS = (16, 32, 64, 128, 128)
"""Channels of the features at relu1_1 ... relu5_1."""

PLAIN_WIDTH = 8
"""Channels at full resolution in the decoder of relu2_1."""

HALF_WIDTH = 24
"""Channels at half the resolution in the decoders of deeper levels."""


def compact_autoencoder(level: str) -> Autoencoder:
    """Return the compact net of a level, with random weights."""
    if number(level) == 1:
        return _OfPixels(level)
    if number(level) == 2:
        return _OfHalf(level)
    return _OfQuarter(level)


class _OfPixels(Autoencoder):
    """Net of relu1_1: one convolution encodes; each pixel is decoded from its own features."""

    side = 1

    def __init__(self, level: str) -> None:
        super().__init__()
        self.level, self.channels = level, CHANNELS[0]
        self.encoder = _convolution(3, self.channels)
        self.decoder = _last(self.channels, 3, kernel=1)

    def encode(self, cells: Tensor) -> Tensor:
        return functional.relu(self.encoder(_bordered(cells)))

    def decode(self, features: Tensor) -> Tensor:
        cells: Tensor = self.decoder(features)
        return cells


class _OfHalf(Autoencoder):
    """Net of relu2_1, which works at half the resolution throughout.

    The decoder's last two convolutions belong to full resolution but run on cells: one includes an
    upsampling by two, the other gives the pixels.
    """

    side = 2

    def __init__(self, level: str) -> None:
        super().__init__()
        self.level, self.channels = level, CHANNELS[1]
        self.encoder = nn.ModuleList(
            [_convolution(3 * 4, self.channels), _convolution(self.channels, self.channels)]
        )
        self.residual = _Residual(self.channels)
        self.upsampled = _convolution(self.channels, PLAIN_WIDTH)
        self.pixels = _last(PLAIN_WIDTH, 3)

    def encode(self, cells: Tensor) -> Tensor:
        first, second = self.encoder
        x = functional.relu(first(_bordered(cells)))
        return functional.relu(second(padded(x, "reflect")))

    def decode(self, features: Tensor) -> Tensor:
        x = _upsampled(self.residual(features), self.upsampled)
        kernel = cell_kernel(self.pixels.weight)
        return functional.conv2d(padded(x, "replicate"), kernel, bias_of(self.pixels).repeat(4))


class _OfQuarter(Autoencoder):
    """Net of relu3_1 and deeper levels, which works at a quarter of the resolution and below.

    Strided convolutions lead down from there, and upsamplings back.
    """

    side = 4

    def __init__(self, level: str) -> None:
        super().__init__()
        widths = CHANNELS[2 : number(level)]
        self.level, self.channels = level, widths[-1]
        self.encoder = nn.ModuleList(
            [_convolution(3 * 16, widths[0]), _convolution(widths[0], widths[0])]
        )
        self.deeper = nn.ModuleList()
        self.shallower = nn.ModuleList()
        for near, far in pairwise(widths):
            self.deeper.append(
                nn.ModuleList([_convolution(near, far, stride=2), _convolution(far, far)])
            )
            self.shallower.append(nn.ModuleList([_convolution(far, far), _convolution(far, near)]))
        self.residual = _Residual(widths[0])
        self.halfway = _convolution(widths[0], HALF_WIDTH)
        self.shuffle = _last(HALF_WIDTH, 3 * 2 * 2)

    def encode(self, cells: Tensor) -> Tensor:
        first, second = self.encoder
        x = functional.relu(first(_bordered(cells)))
        x = functional.relu(second(padded(x, "reflect")))
        for strided, plain in _pairs(self.deeper):
            x = functional.relu(strided(padded(x, "reflect")))
            x = functional.relu(plain(padded(x, "reflect")))
        return x

    def decode(self, features: Tensor) -> Tensor:
        x = features
        for plain, upsampled in reversed(_pairs(self.shallower)):
            x = functional.relu(plain(padded(x, "reflect")))
            # To cells of 2x2 positions, and from each cell to its four positions.
            x = functional.pixel_shuffle(_by_place(_upsampled(x, upsampled)), 2)
        # To pixels by depth-to-space and a blur, which removes everything with a period of two
        # pixels: with a learned convolution instead, every other pixel showed, like a fabric.
        x = _upsampled(self.residual(x), self.halfway)
        blur = binomial(self.shuffle.weight)
        kernel = shuffled_kernel(self.shuffle.weight, blur)
        bias = shuffled_bias(bias_of(self.shuffle), blur, blur.new_zeros(3))
        return functional.conv2d(padded(x, "replicate"), kernel, bias)


class _Residual(nn.Module):
    """Residual block of two convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.first(padded(x, "reflect")))
        painted: Tensor = x + self.second(padded(y, "reflect"))
        return painted


def _pairs(layers: nn.ModuleList) -> list[tuple[nn.Conv2d, nn.Conv2d]]:
    return [tuple(pair) for pair in layers]  # type: ignore[arg-type, misc]


def _upsampled(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """Apply bilinear upsampling by two, `convolution` and ReLU; return cells of 2x2 positions.

    With nearest upsampling, cells of 8x8 pixels showed as a grid.
    """
    kernel = resizing_kernel(convolution.weight, bilinear=True)
    bias = bias_of(convolution).repeat(4)
    return functional.relu(functional.conv2d(padded(x, "replicate"), kernel, bias))


def _by_place(cells: Tensor) -> Tensor:
    """Reorder channels so that each one's positions are adjacent, as `pixel_shuffle` needs."""
    return torch.unflatten(cells, 1, (4, -1)).transpose(1, 2).flatten(1, 2)


def _bordered(cells: Tensor) -> Tensor:
    """Convert cells with channels last to channels first, scale to -1..1, and add a border of one.

    Padding while channels are last saves the runtime a copy.
    """
    return functional.pad(2 * cells - 1, (0, 0, 1, 1, 1, 1), "reflect").permute(0, 3, 1, 2)


def _convolution(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride)
    # PyTorch's default weights would let the signal fade in so many layers.
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    nn.init.zeros_(bias_of(convolution))
    return convolution


def _last(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """Return a final convolution that starts with gray, not with random colors."""
    convolution = nn.Conv2d(inputs, outputs, kernel)
    nn.init.normal_(convolution.weight, std=0.01)
    nn.init.constant_(bias_of(convolution), 0.5)
    return convolution
