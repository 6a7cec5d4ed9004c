"""Style transfer by optimizing the pixels themselves: the slow method that nets replace.

After Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks (CVPR 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from export.common.losses import LossConfig, PerceptualLoss, Statistics
from export.common.vgg import load_loss_networks
from export.data.photos import load_picture
from export.errors import ExportError

HISTORY = 10
"""Steps that L-BFGS looks back on; each holds two copies of the picture."""


@dataclass(frozen=True)
class GatysConfig:
    """Settings of the optimization; the defaults have the losses of the shipped nets.

    `paper()` has the paper's losses.
    """

    steps: int = 300
    """Maximum number of loss evaluations."""
    side: int = 512
    """Short side in pixels to which photograph and picture are scaled."""
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    loss: LossConfig = field(default_factory=LossConfig)

    @classmethod
    def paper(cls) -> "GatysConfig":
        """Return the settings of section 3: conv4_2 against conv1_1 to conv5_1 of VGG-19.

        Style is compared by Gram matrices (equations 3 to 6). Here each layer is divided by its own
        power, which makes a ratio of weights hold for every network; the paper's 1e-3 is for its
        own rescaled network.
        """
        return cls(
            loss=LossConfig(
                content_layers=("relu4_2",),
                style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
                coarse_style_weight=0.0,
                style_statistics="gram",
                normalized_content=False,
                total_variation_weight=0.0,
                range_weight=0.0,
                lattice_weight=0.0,
            )
        )


def paint(
    photo: Path, picture: Path, config: GatysConfig, on_step: Callable[[float], None]
) -> Tensor:
    """Return the painting (3, H, W), RGB in 0..1, with a short side of `config.side` pixels.

    It starts from the photograph, as the minimum of equation 7 depends little on the start (figure
    6). `on_step` gets the loss of each step. Raises ExportError if a picture can't be read or the
    optimization diverges.
    """
    device = torch.device(config.device)
    layers = (*config.loss.content_layers, *config.loss.style_layers)
    loss = PerceptualLoss(config.loss, load_loss_networks(config.loss.network, layers).to(device))
    style = loss.statistics(load_picture(picture, config.side).to(device))
    content = load_picture(photo, config.side).to(device)
    return optimized(content, style, loss, config.steps, on_step)[0]


def optimized(
    photo: Tensor,
    style: Statistics,
    loss: PerceptualLoss,
    steps: int,
    on_step: Callable[[float], None] = lambda _loss: None,
) -> Tensor:
    """Return `photo` (1, 3, H, W), painted in a style by minimizing `loss`.

    `style` holds the statistics of the style picture. Raises ExportError if the pixels diverge.
    """
    painted = photo.contiguous().clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [painted],
        max_iter=steps,
        max_eval=steps,
        history_size=HISTORY,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def evaluate() -> Tensor:
        optimizer.zero_grad()
        terms = loss(painted, photo, style).terms
        total = torch.stack([*terms.values()]).sum()
        total.backward()  # type: ignore[no-untyped-call]
        on_step(total.item())
        return total

    optimizer.step(evaluate)  # type: ignore[no-untyped-call]
    if not torch.isfinite(painted).all():
        raise ExportError("the optimization diverged; lower --style-weight")
    return painted.detach().clamp(0, 1)
