"""Losses of StyTr2: Deng et al. 2022, section 3.4."""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from export.common import losses
from export.common.vgg import CombinedLossNetwork, LossNetwork

EPSILON = 1e-5
"""Added to variances, as a channel may have none."""


@dataclass(frozen=True)
class StyTr2LossConfig:
    """Loss networks, layers and weights; the defaults are the paper's, with `balanced` added.

    The paper's weights are for the VGG-19 with normalized activations. The paper has neither
    `balanced` nor `covariances`.
    """

    network: tuple[str, ...] = field(default=("vgg19",), metadata={"repeated": True})
    """Loss networks: torchvision's vgg16 or vgg19, or safetensors files.

    SOURCE:LAYER,LAYER takes these layers from SOURCE instead of from the networks before it
    (export/common/vgg.py).
    """
    content_layers: tuple[str, ...] = ("relu4_1", "relu5_1")
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    """Layers of the style loss and of the second identity loss."""
    content_weight: float = 10.0
    style_weight: float = 7.0
    identity_weight: float = 50.0
    """Weight of the first identity loss: pixels of a picture painted in its own style."""
    feature_identity_weight: float = 1.0
    """Weight of the second identity loss: features of a picture painted in its own style."""
    balanced: bool = True
    """Divide each layer's term by the mean square of its target.

    Weights then carry over between loss networks. The squares are 2 to 11 in the normalized VGG-19,
    where this takes a quarter off the style loss, but up to 280 in networks whose activations are
    not normalized. The content features are normalized in any case.
    """
    covariances: bool = False
    """Compare the covariances of a style's channels, as WCT does, not only their deviations.

    Deviations alone are equation 10. How channels vary together is what makes strokes.
    """

    @classmethod
    def paper_code(cls) -> "StyTr2LossConfig":
        """Return the weights of the authors' code, converted from its sums to the means taken here.

        The code has 7 for content, 10 for style, and 70 and 1 for the identities. These apply to
        sums over 2, 5, (pixels) and 5 layers, where the paper and this program take means.
        """
        return cls(
            content_weight=7.0 * 2,
            style_weight=10.0 * 5,
            identity_weight=70.0,
            feature_identity_weight=1.0 * 5,
            balanced=False,
        )


class StyTr2Loss(nn.Module):
    """Losses of equations 9 to 12, computed in float32 whatever the network's dtype."""

    def __init__(
        self, config: StyTr2LossConfig, network: LossNetwork | CombinedLossNetwork
    ) -> None:
        super().__init__()
        self.config = config
        self.network = network

    def forward(
        self, painted: Tensor, repainted: Tensor, content: Tensor, style: Tensor
    ) -> dict[str, Tensor]:
        """Return the weighted loss terms by name; their sum is the loss.

        All pictures are (N, 3, H, W), RGB in 0..1. `painted` is `content` in the style of `style`.
        `repainted` is `some_of_each`, every picture in its own style.
        """
        config = self.config
        with torch.no_grad():
            contents, styles = self._features(content), self._features(style)
        features, again = self._features(painted), self._features(repainted)
        content_loss = painted.new_zeros(())
        for layer in config.content_layers:
            wanted = normalized(contents[layer])
            content_loss = content_loss + functional.mse_loss(normalized(features[layer]), wanted)
        style_loss, identity_loss = painted.new_zeros(()), painted.new_zeros(())
        of_style = losses.mean_covariance if config.covariances else mean_std
        for layer in config.style_layers:
            statistics = zip(of_style(features[layer]), of_style(styles[layer]), strict=True)
            for statistic, wanted in statistics:
                style_loss = style_loss + self._difference(statistic, wanted)
            wanted = some_of_each(contents[layer], styles[layer])
            identity_loss = identity_loss + self._difference(again[layer], wanted)
        identity = functional.mse_loss(repainted, some_of_each(content, style))
        layers = len(config.style_layers)
        # Twice: the paper adds the losses of contents and of styles; this is their mean.
        return {
            "content": config.content_weight * content_loss / len(config.content_layers),
            "style": config.style_weight * style_loss / layers,
            "identity": 2 * config.identity_weight * identity,
            "feature_identity": 2 * config.feature_identity_weight * identity_loss / layers,
        }

    def _features(self, rgb: Tensor) -> dict[str, Tensor]:
        return {layer: x.float() for layer, x in self.network(rgb).items()}

    def _difference(self, values: Tensor, wanted: Tensor) -> Tensor:
        power = wanted.square().mean() if self.config.balanced else 1.0
        return functional.mse_loss(values, wanted) / power


def repainted_of_each(batch_size: int) -> int:
    """Return how many contents, and how many styles, of a batch the identity losses see: a quarter.

    The paper takes all of both, and so paints twice as many pictures in their own style as in
    another's.
    """
    return (batch_size + 3) // 4


def some_of_each(content: Tensor, style: Tensor) -> Tensor:
    """Return the first contents and the last styles of a batch, `repainted_of_each` of either."""
    count = repainted_of_each(len(content))
    return torch.cat([content[:count], style[-count:]])


def mean_std(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and standard deviation of each channel, both (N, C, 1, 1)."""
    mean = features.mean(dim=(2, 3), keepdim=True)
    variance = features.var(dim=(2, 3), unbiased=False, keepdim=True)
    return mean, (variance + EPSILON).sqrt()


def normalized(features: Tensor) -> Tensor:
    """Return the features with mean 0 and standard deviation 1 in each channel."""
    mean, deviation = mean_std(features)
    return (features - mean) / deviation
