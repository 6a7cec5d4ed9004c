"""Train a net for the style of any picture on photographs and paintings."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from export.common.losses import LossConfig, PerceptualLoss, Statistics
from export.common.training_loop import load_trained, run_training
from export.families.any_picture.model import AnyPicture, AnyPictureConfig
from export.families.picture_family import PictureConfig, PictureFamily

FAMILY = "any-picture"


@dataclass(frozen=True, kw_only=True)
class AnyPictureTrainConfig(PictureConfig):
    """Settings as for many styles, but with another painting for each photograph."""

    family = FAMILY

    picture_crop: int = 256
    """Side in pixels of the square crops of paintings."""
    style_warm_up: int = 300
    """Steps over which the style weight grows from zero."""
    teacher_weight: float = 1.0
    """Weight of the loss that teaches the style encoder the loss network's style statistics.

    A linear map, which is not part of the engine, predicts them from the encoder's statistics.
    """
    net: AnyPictureConfig = field(default_factory=AnyPictureConfig)
    loss: LossConfig = field(default_factory=LossConfig)


def train_any_picture(config: AnyPictureTrainConfig, run: Path) -> nn.Module:
    """Train, or resume a training, in the folder `run`; return the net in evaluation mode.

    See `run_training` for what the folder holds. Raises ExportError if it holds a training with
    another configuration, or if something that the training needs can't be read.
    """
    torch.manual_seed(config.seed)
    return run_training(AnyPictureFamily(config), config, config.as_json(), run)


class AnyPictureFamily(PictureFamily):
    """Training of nets that predict rows; see `export.common.training_loop.Family`."""

    def __init__(self, config: AnyPictureTrainConfig) -> None:
        net = AnyPicture(config.net)
        super().__init__(config, net, config.picture_crop)
        self._told = config
        layers = (*config.loss.content_layers, *config.loss.style_layers)
        self._loss = PerceptualLoss(config.loss, self.loss_network(config.loss.network, layers))
        with torch.no_grad():
            taught = _taught(self._loss.statistics(torch.zeros(1, 3, 64, 64, device=self.device)))
        counts = [values.shape[1] for values in taught]
        self._teacher = nn.Linear(net.style_encoder.statistics, sum(counts)).to(self.device)
        self._counts = counts
        self.state = {"teacher": self._teacher}

    def paint(self, net: nn.Module, photos: Tensor, picture: Tensor) -> Tensor:
        assert isinstance(net, AnyPicture)
        return net.paint(photos, net.rows_of(picture).expand(len(photos), -1))

    def parameter_groups(self) -> list[dict[str, Any]]:
        trained = [*self.net.parameters(), *self._teacher.parameters()]
        return [{"params": trained, "lr": self.config.learning_rate}]

    def losses(self, batch: tuple[Tensor, Tensor], step: int) -> dict[str, Tensor]:
        assert isinstance(self.net, AnyPicture)
        content, pictures = batch
        with self.autocast():
            statistics = self.net.style_encoder(pictures)
            painted = self.net.paint(content, self.net.predict(statistics))
        targets = self._loss.statistics(pictures)
        terms = self._loss(painted, content, targets).terms
        warm = min(1.0, step / max(1, self._told.style_warm_up))
        terms = {k: warm * v if "style" in k else v for k, v in terms.items()}
        if self._told.teacher_weight:
            told = self._teacher(statistics.float()).split(self._counts, dim=1)
            errors = [_relative(a, b) for a, b in zip(told, _taught(targets), strict=True)]
            terms["teacher"] = self._told.teacher_weight * torch.stack(errors).mean()
        return terms


def _taught(statistics: Statistics) -> list[Tensor]:
    """Return the mean and standard deviation, (N, C), of each layer at full size."""
    taught = []
    for mean, covariance in statistics[0].values():
        taught += [mean[:, 0], covariance.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()]
    return taught


def _relative(values: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean squared difference, divided by the mean square of `wanted`."""
    return (values - wanted).square().mean() / wanted.square().mean().clamp(min=1e-12)


def load_trained_any_picture(checkpoint: Path) -> tuple[AnyPicture, AnyPictureTrainConfig, int]:
    """Load a net from a checkpoint; see `export.common.training_loop.load_trained`."""
    net, config, step = load_trained(
        checkpoint, AnyPictureTrainConfig.from_json, lambda config: AnyPicture(config.net)
    )
    assert isinstance(net, AnyPicture)
    return net, config, step
