"""Transfer features as WCT does when it paints, for decoders to learn from."""

import torch
from torch import Tensor

from engines.wct.transform import coloring, whitening


def transferred(content: Tensor, style: Tensor) -> Tensor:
    """Give content features (N, C, h, w) the mean and covariance of style features (N, C, ...).

    The transform comes from the functions with which WCT paints.
    """
    mean, covariance = _statistics(content)
    wanted_mean, wanted = _statistics(style)
    transform = coloring(wanted.cpu().numpy()) @ whitening(covariance.cpu().numpy())
    matrix = torch.from_numpy(transform).to(content)
    colored = matrix @ (content.flatten(2) - mean) + wanted_mean
    return colored.reshape(content.shape)


def _statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    flat = features.flatten(2)
    mean = flat.mean(dim=2, keepdim=True)
    centered = (flat - mean).double()
    return mean, centered @ centered.transpose(1, 2) / flat.shape[2]
