"""Perceptual losses: Johnson, Alahi, Fei-Fei 2016, section 3."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from export.loss_network import LossNetwork


@dataclass(frozen=True)
class LossConfig:
    """The defaults are what the shipped styles were trained with; `paper()` is as published."""

    network: str = "vgg19"
    """torchvision's vgg16 or vgg19, or a safetensors file (export/loss_network.py)."""
    content_layers: tuple[str, ...] = ("relu3_1",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    content_weight: float = 1.0
    style_weight: float = 3.0
    total_variation_weight: float = 0.3
    style_statistics: Literal["moments", "gram"] = "moments"
    """What of the features has to agree with the style picture's: mean and covariance, or the
    paper's Gram matrix. That is the covariance plus the outer product of the mean, by which it is
    dominated: with it, colors arrive long before strokes do."""
    balanced: bool = True
    """Divide each layer's term by the mean square of its target, so that every layer counts the
    same whatever the scale of its features, and weights carry over between loss networks."""

    @classmethod
    def paper(cls) -> "LossConfig":
        """Section 4.1 and its supplement, with VGG-16 on pixels of 0..255."""
        return cls(
            network="vgg16",
            content_layers=("relu3_3",),
            style_layers=("relu1_2", "relu2_2", "relu3_3", "relu4_3"),
            content_weight=1.0,
            style_weight=5.0,
            total_variation_weight=1e-6,
            style_statistics="gram",
            balanced=False,
        )


def feature_reconstruction_loss(features: Tensor, target: Tensor) -> Tensor:
    """Equation 2: the squared distance divided by C * H * W, averaged over the batch."""
    return (features.float() - target.float()).square().mean()


def gram_matrix(features: Tensor) -> Tensor:
    """Equation 3: (N, C, H, W) to (N, C, C), divided by C * H * W."""
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    # bfloat16 features are summed in float32 by every matrix product, and have its range.
    return (flat @ flat.transpose(1, 2)).float() / (c * h * w)


def moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (N, 1, C) and covariance (N, C, C), divided by C as the Gram matrix is."""
    n, c, h, w = features.shape
    flat = features.reshape(n, c, h * w)
    mean = flat.float().mean(dim=2, keepdim=True)
    centred = flat - mean.to(flat.dtype)
    return mean.transpose(1, 2), (centred @ centred.transpose(1, 2)).float() / (c * h * w)


def style_reconstruction_loss(statistic: Tensor, target: Tensor) -> Tensor:
    """Equation 4: the squared Frobenius norm of the difference, (N,)."""
    return (statistic - target).square().sum(dim=(1, 2))


def total_variation(rgb: Tensor) -> Tensor:
    """Mean squared difference of neighbours, down plus across, of (N, 3, H, W)."""
    down = rgb[..., 1:, :] - rgb[..., :-1, :]
    across = rgb[..., :, 1:] - rgb[..., :, :-1]
    return down.square().mean() + across.square().mean()


class PerceptualLoss(nn.Module):
    """The weighted terms for painted (N, 3, H, W) and content of the same shape, RGB, 0..1."""

    def __init__(
        self, config: LossConfig, network: LossNetwork, styles: Sequence[Tensor], weights: Tensor
    ) -> None:
        """`styles` are S pictures, (1, 3, H, W), RGB, 0..1, at the size whose strokes to learn;
        `weights`, (S,), say how much each one's loss counts."""
        super().__init__()
        self.config = config
        self.network = network
        self.weights = weights
        with torch.no_grad():
            seen = [network(style) for style in styles]
        self.targets = {layer: self._targets(seen, layer) for layer in config.style_layers}

    def forward(self, painted: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        """The terms by name, already weighted; their sum is the loss. `style`, (N,), is the number
        of the style that each picture was painted in."""
        config = self.config
        features = self.network(painted)
        with torch.no_grad():
            wanted = self.network(content, config.content_layers)
        content_loss = painted.new_zeros(())
        for layer in config.content_layers:
            term = feature_reconstruction_loss(features[layer], wanted[layer])
            content_loss = content_loss + term / self._power(wanted[layer].float().square().mean())
        style_loss = painted.new_zeros(len(style))
        for layer in config.style_layers:
            statistics = self._statistics(features[layer])
            for statistic, targets in zip(statistics, self.targets[layer], strict=True):
                target = targets[style]
                term = style_reconstruction_loss(statistic, target)
                style_loss = style_loss + term / self._power(target.square().sum(dim=(1, 2)))
        style_loss = (self.weights[style] * style_loss).mean()
        return {
            "content": config.content_weight * content_loss / len(config.content_layers),
            "style": config.style_weight * style_loss / len(config.style_layers),
            "total_variation": config.total_variation_weight * total_variation(painted),
        }

    def _targets(self, seen: list[dict[str, Tensor]], layer: str) -> list[Tensor]:
        """Each statistic of all styles, (S, ...)."""
        statistics = [self._statistics(features[layer]) for features in seen]
        return [torch.cat(parts) for parts in zip(*statistics, strict=True)]

    def _statistics(self, features: Tensor) -> tuple[Tensor, ...]:
        if self.config.style_statistics == "gram":
            return (gram_matrix(features),)
        return moments(features)

    def _power(self, square: Tensor) -> Tensor | float:
        return square if self.config.balanced else 1.0
