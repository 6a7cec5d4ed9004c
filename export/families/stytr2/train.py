"""Train StyTr2 on photographs and paintings."""

import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from export.common.training_loop import load_trained, run_training
from export.errors import ExportError
from export.families.picture_family import PictureConfig, PictureFamily
from export.families.stytr2.loss import StyTr2Loss, StyTr2LossConfig, repainted_of_each
from export.families.stytr2.model import PATCH, StyTr2, StyTr2Config

FAMILY = "stytr2"

FIRST_RATE = 0.25
LAST_RATE = 0.01
"""Learning rates at the beginning and at the end, relative to the highest."""


@dataclass(frozen=True, kw_only=True)
class StyTr2TrainConfig(PictureConfig):
    """Settings of section 4.1 of the paper and of the authors' code, with three differences.

    The learning rate falls to a hundredth, where the authors' stays above a third; the identity
    losses see `repainted_of_each` only; and weights are averaged.
    """

    family = FAMILY

    steps: int = 160_000
    batch_size: int = 8
    crop: int = 256
    """Side in pixels of the square training crops, a multiple of 8."""
    learning_rate: float = 2e-4
    """Highest learning rate of Adam.

    The rate rises from a quarter of it in a straight line, as in the authors' code (5e-4 * 0.1 * (1
    + 3e-4 * step), for 10,000 steps), and then falls to a hundredth along half a cosine.
    """
    warm_up: int = 10_000
    """Steps over which the learning rate rises."""
    net: StyTr2Config = field(default_factory=StyTr2Config)
    loss: StyTr2LossConfig = field(default_factory=StyTr2LossConfig)

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, relative to the highest."""
        if step < self.warm_up:
            return FIRST_RATE + (1 - FIRST_RATE) * step / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def train_stytr2(config: StyTr2TrainConfig, run: Path) -> nn.Module:
    """Train, or resume a training, in the folder `run`; return the net in evaluation mode.

    See `run_training` for what the folder holds. Raises ExportError if it holds a training with
    another configuration, or if something that the training needs can't be read.
    """
    if config.crop % PATCH:
        raise ExportError(
            f"--crop for StyTr2 must be a multiple of {PATCH} pixels, got {config.crop}"
        )
    torch.manual_seed(config.seed)
    return run_training(StyTr2Family(config), config, config.as_json(), run)


class StyTr2Family(PictureFamily):
    """Training of StyTr2; see `export.common.training_loop.Family`."""

    def __init__(self, config: StyTr2TrainConfig) -> None:
        super().__init__(config, StyTr2(config.net), config.crop)
        layers = (*config.loss.content_layers, *config.loss.style_layers)
        self._loss = StyTr2Loss(config.loss, self.loss_network(config.loss.network, layers))

    def paint(self, net: nn.Module, photos: Tensor, picture: Tensor) -> Tensor:
        painted: Tensor = net(photos, picture)
        return painted

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> dict[str, Tensor]:
        assert isinstance(self.net, StyTr2)
        content, style = batch
        with self.autocast():
            painted, repainted = _painted(self.net, content, style)
        terms: dict[str, Tensor] = self._loss(painted.float(), repainted.float(), content, style)
        return terms


def _painted(net: StyTr2, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Paint each content in the style of the same number, and `some_of_each` in their own styles.

    Each picture is encoded once for both.
    """
    count, some = len(content), repainted_of_each(len(content))
    contents = net.content_of(torch.cat([content, style[-some:]]))
    styles = net.style_of(torch.cat([style, content[:some]]))
    again = range(count, count + some)
    of_content = [*range(count), *range(some), *again]
    of_style = [*range(count), *again, *range(count - some, count)]
    painted = net.decode(*(x[of_content] for x in contents), *(x[of_style] for x in styles))
    return painted[:count], painted[count:]


def load_trained_stytr2(checkpoint: Path) -> tuple[StyTr2, StyTr2TrainConfig, int]:
    """Load a net from a checkpoint; see `export.common.training_loop.load_trained`."""
    net, config, step = load_trained(
        checkpoint, StyTr2TrainConfig.from_json, lambda config: StyTr2(config.net)
    )
    assert isinstance(net, StyTr2)
    return net, config, step
