"""The image transformation network of Johnson, Alahi, Fei-Fei (ECCV 2016).

It is table 1 in the supplementary material of Perceptual Losses for Real-Time Style Transfer and
Super-Resolution.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from export.common.padding import reflect_pad

DOWNSAMPLING = 4  # two convolutions of stride 2


@dataclass(frozen=True)
class JohnsonConfig:
    """Architecture of the net; the defaults are what later work found to look better.

    `paper()` is the published net.
    """

    base_width: int = 32
    """Channels of the first layer; the next two have 2x and 4x as many."""
    residual_blocks: int = 5
    normalization: Literal["instance", "batch"] = "instance"
    """Normalization layer; "instance" follows Ulyanov, Vedaldi, Lempitsky 2017."""
    upsampling: Literal["resize", "transposed"] = "resize"
    """Nearest neighbor and a convolution, or the paper's transposed convolution.

    Resizing avoids checkerboards (Odena 2016).
    """
    padding: Literal["each", "once"] = "each"
    """Reflection in each layer, or the paper's padding once around the picture.

    "once" reflects 40 pixels around the picture and pads the other layers with zeros. The residual
    blocks have no padding; their identity is cropped.
    """
    output: Literal["linear", "tanh"] = "linear"
    """Linear output, or the paper's scaled tanh.

    The tanh reaches from -0.09 to 1.09 and has no gradient at its ends: dark regions that it has
    once made black stay black. Linear output has no ends.
    """

    @classmethod
    def paper(cls) -> "JohnsonConfig":
        """Return the net of table 1 in the supplement."""
        return cls(normalization="batch", upsampling="transposed", padding="once", output="tanh")


class Johnson(nn.Module):
    """Maps RGB (N, 3, H, W) in 0..1 to RGB of the same shape, about 0..1.

    H and W are at least 16. The output is clamped only when it becomes a frame.
    """

    def __init__(self, config: JohnsonConfig) -> None:
        super().__init__()
        self.config = config
        w = config.base_width
        self.encoder = nn.Sequential(
            *_layer(config, 3, w, 9),
            *_layer(config, w, 2 * w, 3, stride=2),
            *_layer(config, 2 * w, 4 * w, 3, stride=2),
        )
        self.residual = nn.Sequential(
            *(_ResidualBlock(config, 4 * w) for _ in range(config.residual_blocks))
        )
        self.decoder = nn.Sequential(
            *_upsampling_layer(config, 4 * w, 2 * w),
            *_upsampling_layer(config, 2 * w, w),
        )
        self.to_rgb = nn.Sequential(*_pad_and_convolve(config, w, 3, 9))

    @property
    def border(self) -> int:
        """Pixels that the residual blocks take off each side: 40 for the paper's five blocks."""
        if self.config.padding == "each":
            return 0
        return 2 * DOWNSAMPLING * self.config.residual_blocks

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2], x.shape[-1]
        x = reflect_pad(2 * x - 1, self.border, DOWNSAMPLING)
        x = self.to_rgb(self.decoder(self.residual(self.encoder(x))))
        x = x[..., :height, :width]
        if self.config.output == "tanh":
            x = 150 / 255 * torch.tanh(x)
        return 0.5 + x


class _Reflect(nn.ReflectionPad2d):
    """Reflection padding that keeps half precision under autocast.

    Autocast would pad in float32, at a third of the speed.
    """

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x)


class _ResidualBlock(nn.Module):
    """Residual block of Gross and Wilber: no activation after the addition."""

    def __init__(self, config: JohnsonConfig, width: int) -> None:
        super().__init__()
        self.crop = 2 if config.padding == "once" else 0
        self.layers = nn.Sequential(
            *_pad_and_convolve(config, width, width, 3, padding=self.crop == 0),
            _normalization(config, width),
            nn.ReLU(),
            *_pad_and_convolve(config, width, width, 3, padding=self.crop == 0),
            _normalization(config, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        if self.crop:
            identity = x[..., self.crop : -self.crop, self.crop : -self.crop]
        result: Tensor = identity + self.layers(x)
        return result


def _pad_and_convolve(
    config: JohnsonConfig,
    inputs: int,
    outputs: int,
    kernel: int,
    stride: int = 1,
    padding: bool = True,
) -> list[nn.Module]:
    half = kernel // 2 if padding else 0
    if padding and config.padding == "each":
        return [_Reflect(half), nn.Conv2d(inputs, outputs, kernel, stride)]
    return [nn.Conv2d(inputs, outputs, kernel, stride, half)]


def _layer(
    config: JohnsonConfig, inputs: int, outputs: int, kernel: int, stride: int = 1
) -> list[nn.Module]:
    return [
        *_pad_and_convolve(config, inputs, outputs, kernel, stride),
        _normalization(config, outputs),
        nn.ReLU(),
    ]


def _upsampling_layer(config: JohnsonConfig, inputs: int, outputs: int) -> list[nn.Module]:
    if config.upsampling == "resize":
        return [nn.Upsample(scale_factor=2, mode="nearest"), *_layer(config, inputs, outputs, 3)]
    return [
        nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1),
        _normalization(config, outputs),
        nn.ReLU(),
    ]


def _normalization(config: JohnsonConfig, width: int) -> nn.Module:
    if config.normalization == "instance":
        return nn.InstanceNorm2d(width, affine=True)
    return nn.BatchNorm2d(width)
