"""What WCT's decoders are trained by to paint what whitening and coloring made: their layers were
otherwise only shown features of photographs, and smear what is none."""

import torch
from torch import Tensor, nn

from engines.wct import coloring, whitening
from export.loss_network import LossNetwork
from export.losses import moments, style_reconstruction_loss
from export.stytr2_loss import normalised

CONTENT_LAYER = "relu4_1"

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")


class TransferLoss(nn.Module):
    """For painted, content and style pictures, each (N, 3, H, W), RGB, 0..1: the distance of their
    normalised features (equation 9 of StyTr2), and of the means and covariances that coloring gives
    the features of one level only, in relation to those of the style."""

    def __init__(self, network: LossNetwork, style_weight: float) -> None:
        super().__init__()
        self.network = network
        self.style_weight = style_weight

    def forward(self, painted: Tensor, content: Tensor, style: Tensor) -> dict[str, Tensor]:
        features = self.network(painted)
        with torch.no_grad():
            wanted = normalised(self.network(content, (CONTENT_LAYER,))[CONTENT_LAYER].float())
            targets = self.network(style, STYLE_LAYERS)
        of_content = (normalised(features[CONTENT_LAYER].float()) - wanted).square().mean()
        terms = [
            style_reconstruction_loss(seen, target) / target.square().sum(dim=(1, 2))
            for layer in STYLE_LAYERS
            for seen, target in zip(moments(features[layer]), moments(targets[layer]), strict=True)
        ]
        of_style = torch.stack(terms).sum(dim=0).mean() / len(STYLE_LAYERS)
        return {"content": of_content, "style": self.style_weight * of_style}


def transferred(content: Tensor, style: Tensor) -> Tensor:
    """Features (N, C, h, w) of each content with the mean and covariance of those of its style,
    (N, C, ...), by the very functions that paint."""
    mean, covariance = _statistics(content)
    wanted_mean, wanted = _statistics(style)
    transform = coloring(wanted.cpu().numpy()) @ whitening(covariance.cpu().numpy())
    matrix = torch.from_numpy(transform).to(content)
    colored = matrix @ (content.flatten(2) - mean) + wanted_mean
    return colored.reshape(content.shape)


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    flat = features.flatten(2)
    mean = flat.mean(dim=2, keepdim=True)
    centred = (flat - mean).double()
    return mean, centred @ centred.transpose(1, 2) / flat.shape[2]
