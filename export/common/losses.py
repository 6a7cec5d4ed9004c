"""Perceptual losses after Johnson, Alahi, Fei-Fei 2016, section 3."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.common.vgg import CombinedLossNetwork, LossNetwork

EPSILON = 0.01
"""Variance, relative to the mean over all channels, below which a channel counts as dead."""

CELL = 4
"""Side in pixels of the cells that nets for real time work on."""

LATTICE_WINDOW = 12
"""Side, in cells, of the windows that are searched for a pattern repeating in every cell."""

UNSEEN_DETAIL = 1 / 255**2
"""Power of detail that nobody sees, for colors in 0..1."""


@dataclass(frozen=True)
class LossConfig:
    """Loss networks, layers and weights; the defaults trained the shipped engines.

    `paper()` gives the published settings.
    """

    network: tuple[str, ...] = field(default=("vgg19",), metadata={"repeated": True})
    """Loss networks: torchvision's vgg16 or vgg19, or safetensors files.

    SOURCE:LAYER,LAYER takes these layers from SOURCE instead of from the networks before it
    (export/common/vgg.py).
    """
    content_layers: tuple[str, ...] = ("relu4_1",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    content_weight: float = 1.2
    style_weight: float = 6.0
    coarse_style_weight: float = 3.0
    """Weight of a second style loss, with painting and picture at half their size.

    It brings large strokes.
    """
    total_variation_weight: float = 0.1
    range_weight: float = 10.0
    """Weight of the squared distance of colors from 0..1."""
    lattice_weight: float = 3.0
    """Weight of patterns that repeat in every cell of 4x4 pixels.

    Loss networks hardly see them, but eyes do.
    """
    normalized_content: bool = True
    """Compare content features normalized in each channel, which leaves colors and contrast free.

    Channels that are dead in the photograph are left out.
    """
    style_statistics: Literal["mean-covariance", "gram"] = "mean-covariance"
    """Feature statistics that must match the style picture's.

    They are the mean and covariance, or the paper's Gram matrix. The Gram matrix is the covariance
    plus the outer product of the mean, which dominates it: with the Gram matrix, colors arrive long
    before strokes do.
    """
    balanced: bool = True
    """Divide each layer's style term by the mean of both squared norms (Cheng et al. 2021).

    Every layer then counts the same, whatever the scale of its features. The painting's norm is
    treated as a constant. Content features that are not normalized are divided by their power.
    """

    @classmethod
    def paper(cls) -> "LossConfig":
        """Return the settings of section 4.1 and its supplement: VGG-16 on pixels of 0..255."""
        return cls(
            network=("vgg16",),
            content_layers=("relu3_3",),
            style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
            content_weight=1.0,
            style_weight=5.0,
            coarse_style_weight=0.0,
            total_variation_weight=1e-6,
            range_weight=0.0,
            lattice_weight=0.0,
            normalized_content=False,
            style_statistics="gram",
            balanced=False,
        )


def feature_reconstruction_loss(features: Tensor, target: Tensor) -> Tensor:
    """Compute equation 2: squared distance divided by C * H * W, averaged over the batch."""
    return (features.float() - target.float()).square().mean()


def gram_matrix(features: Tensor) -> Tensor:
    """Compute equation 3: (N, C, H, W) to the Gram matrix (N, C, C), divided by C * H * W."""
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    # Safe in bfloat16: it has the range of float32, and matrix products sum it in float32.
    return (flat @ flat.transpose(1, 2)).float() / (c * h * w)


def mean_covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean (N, 1, C) and covariance (N, C, C) of features (N, C, H, W).

    The covariance is divided by C, as the Gram matrix is.
    """
    places = features.permute(0, 2, 3, 1).flatten(1, 2)
    mean, covariance = _MeanCovariance.apply(places)  # type: ignore[no-untyped-call]
    return mean, covariance / features.shape[1]


class _MeanCovariance(torch.autograd.Function):
    """Mean (N, 1, C) and covariance (N, C, C) of (N, P, C) over its P positions, in float32.

    The gradient is written by hand as one matrix product: at relu1_1, the general one took a fifth
    of a training step.
    """

    @staticmethod
    def forward(ctx: Any, places: Tensor) -> tuple[Tensor, Tensor]:
        mean = places.mean(dim=1, keepdim=True)
        centered = places - mean
        ctx.save_for_backward(centered)
        return mean.float(), (centered.transpose(1, 2) @ centered).float() / places.shape[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (centered,) = ctx.saved_tensors
        of_mean, of_covariance = (gradient / centered.shape[1] for gradient in gradients)
        both = (of_covariance + of_covariance.transpose(1, 2)).to(centered.dtype)
        gradient: Tensor = (centered @ both).add_(of_mean.to(centered.dtype))
        return gradient


def style_reconstruction_loss(statistic: Tensor, target: Tensor) -> Tensor:
    """Compute equation 4: the squared Frobenius norm of the difference, (N,)."""
    return (statistic - target).square().sum(dim=(1, 2))


def total_variation(rgb: Tensor) -> Tensor:
    """Return the mean squared difference of neighbors, down plus across, in (N, 3, H, W)."""
    down = rgb[..., 1:, :] - rgb[..., :-1, :]
    across = rgb[..., :, 1:] - rgb[..., :, :-1]
    return down.square().mean() + across.square().mean()


def normalized_difference(features: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared difference of features (N, C, H, W) normalized in each channel.

    Channels that are dead in `wanted` are left out.
    """
    mean, variance = _mean_variance(features)
    wanted_mean, wanted_variance = _mean_variance(wanted)
    epsilon = EPSILON * wanted_variance.mean(dim=1, keepdim=True) + torch.finfo(torch.float32).tiny
    a = (features.float() - mean) * (variance + epsilon).rsqrt()
    b = (wanted.float() - wanted_mean) * (wanted_variance + epsilon).rsqrt()
    alive = (wanted_variance > epsilon).float()
    squares = (a - b).square().mean(dim=(2, 3), keepdim=True) * alive
    return squares.sum() / alive.sum().clamp(min=1)


def _mean_variance(features: Tensor) -> tuple[Tensor, Tensor]:
    variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
    return mean, variance


def out_of_range(rgb: Tensor) -> Tensor:
    """Return the mean squared distance of colors from 0..1."""
    return (rgb - rgb.clamp(0, 1)).square().mean()


def lattice(rgb: Tensor) -> Tensor:
    """Return how much of the detail repeats in every cell of 4x4 pixels, in 0..1, for (N, 3, H, W).

    Detail is second differences. For each position in the cell, it is averaged over the cells of a
    window, LATTICE_WINDOW cells across and down; all detail cancels except what repeats. The power
    of the rest is divided by the power of all detail, so that flat areas count as much as textured
    ones, and averaged over the windows. Pictures have about 0.01.
    """
    height, width = (side // CELL * CELL for side in rgb.shape[2:])
    rgb = rgb[..., :height, :width]
    across = rgb - (rgb.roll(1, 3) + rgb.roll(-1, 3)) / 2
    down = rgb - (rgb.roll(1, 2) + rgb.roll(-1, 2)) / 2
    places = functional.pixel_unshuffle(across + down, CELL)[..., 1:-1, 1:-1]
    places = torch.unflatten(places, 1, (3, CELL * CELL))
    window = min(LATTICE_WINDOW, *places.shape[3:])

    def averaged(x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, window, stride=max(1, window // 2))

    repeated = torch.unflatten(averaged(places.flatten(1, 2)), 1, (3, CELL * CELL))
    repeated = (repeated - repeated.mean(dim=2, keepdim=True)).square().mean(dim=2)
    # A constant: otherwise more detail would lower the loss.
    detail = averaged(places.detach().square().mean(dim=2))
    return (repeated / (detail + UNSEEN_DETAIL)).mean()


Statistics = list[dict[str, tuple[Tensor, ...]]]
"""Statistics by layer, (N, ...) each, by which style is measured.

The first dict is for pictures at full size; with a coarse style loss, a second is for half size.
"""


class Losses(NamedTuple):
    """Weighted loss terms, whose sum is minimized, and the style loss of each picture."""

    terms: dict[str, Tensor]
    style_of_each: Tensor
    """Style loss of each picture, (N,), without its weight."""


class PerceptualLoss(nn.Module):
    """Content loss, style loss and terms for clean colors and pixels."""

    def __init__(self, config: LossConfig, network: LossNetwork | CombinedLossNetwork) -> None:
        super().__init__()
        self.config = config
        self.network = network

    def forward(
        self,
        painted: Tensor,
        content: Tensor,
        targets: Statistics,
        weights: Tensor | float = 1.0,
    ) -> Losses:
        """Return the losses of `painted` (N, 3, H, W), RGB in 0..1.

        `content` has the same shape. `targets` are the `statistics` of N style pictures, and
        `weights`, (N,), scale their style terms.
        """
        config = self.config
        features = self.network(painted)
        with torch.no_grad():
            wanted = self.network(content, config.content_layers)
        of_content = [self._content(features[name], wanted[name]) for name in config.content_layers]
        of_style = self._style(features, targets[0])
        terms = {
            "content": config.content_weight * torch.stack(of_content).mean(),
            "style": config.style_weight * (weights * of_style).mean(),
        }
        if config.coarse_style_weight:
            coarse = self.network(_halved(painted), config.style_layers)
            weighted = weights * self._style(coarse, targets[1])
            terms["coarse_style"] = config.coarse_style_weight * weighted.mean()
        cleanness = {
            "total_variation": (config.total_variation_weight, total_variation),
            "range": (config.range_weight, out_of_range),
            "lattice": (config.lattice_weight, lattice),
        }
        for name, (weight, term) in cleanness.items():
            if weight:
                terms[name] = weight * term(painted)
        return Losses(terms, of_style.detach())

    @torch.no_grad()
    def statistics(self, pictures: Tensor) -> Statistics:
        """Return the statistics of style pictures (N, 3, H, W), RGB in 0..1.

        The size of the pictures sets the size of the strokes.
        """
        scales = [pictures, _halved(pictures)] if self.config.coarse_style_weight else [pictures]
        layers = self.config.style_layers
        return [
            {layer: self._statistics(x) for layer, x in self.network(rgb, layers).items()}
            for rgb in scales
        ]

    def _content(self, features: Tensor, wanted: Tensor) -> Tensor:
        if self.config.normalized_content:
            return normalized_difference(features, wanted)
        power = wanted.float().square().mean() if self.config.balanced else 1.0
        return feature_reconstruction_loss(features, wanted) / power

    def _style(self, features: dict[str, Tensor], targets: dict[str, tuple[Tensor, ...]]) -> Tensor:
        """Return the style loss of each picture, (N,), averaged over the layers."""
        terms = []
        for layer in self.config.style_layers:
            for value, target in zip(
                self._statistics(features[layer]), targets[layer], strict=True
            ):
                power: Tensor | float = 1.0
                if self.config.balanced:
                    norms = value.detach().square() + target.square()
                    power = norms.sum(dim=(1, 2)).clamp(min=torch.finfo(torch.float32).tiny) / 2
                terms.append(style_reconstruction_loss(value, target) / power)
        return torch.stack(terms).sum(dim=0) / len(self.config.style_layers)

    def _statistics(self, features: Tensor) -> tuple[Tensor, ...]:
        if self.config.style_statistics == "gram":
            return (gram_matrix(features),)
        return mean_covariance(features)


def joined(statistics: Sequence[Statistics]) -> Statistics:
    """Join the statistics of several pictures, each (1, ...), into one batch."""
    return [
        {
            layer: tuple(torch.cat(parts) for parts in zip(*(s[layer] for s in scale), strict=True))
            for layer in scale[0]
        }
        for scale in zip(*statistics, strict=True)
    ]


def chosen(statistics: Statistics, rows: Tensor) -> Statistics:
    """Select the statistics of the pictures with the numbers `rows`, (N,)."""
    return [{k: tuple(v[rows] for v in pair) for k, pair in scale.items()} for scale in statistics]


def _halved(rgb: Tensor) -> Tensor:
    return functional.avg_pool2d(rgb, 2)
