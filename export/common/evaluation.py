"""Score how well a net paints photographs that it never saw, with a loss network as the judge.

The losses are equations 9 and 10 of Deng et al. (StyTr2, 2022), as in table II and the authors'
code: mean squared differences, with content features normalized in each channel. Use another
network than the one in the training's losses, and look at the samples: no loss sees beauty.
"""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from export.common.checkpoint import log
from export.common.vgg import LossNetwork

JUDGED_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
"""Layers of the style loss, the last also of the content loss; the paper adds relu5_1."""

JUDGED_SIDE = 256
"""Short side in pixels at which photographs are painted and pictures are compared."""


class Score(NamedTuple):
    """The content and style loss of one style, averaged over photographs."""

    content_loss: float
    style_loss: float


Scores = dict[str, Score]
"""Scores by style name."""


class Judge:
    """Scores what a net paints of a fixed set of photographs."""

    def __init__(self, network: LossNetwork, photos: Sequence[Tensor]) -> None:
        """Take `photos` (1, 3, H, W), RGB in 0..1, with a short side of JUDGED_SIDE pixels."""
        self._network = network
        self._photos = photos
        deepest = JUDGED_LAYERS[-1:]
        with torch.no_grad():
            self._contents = [network(photo, deepest)[deepest[0]].float() for photo in photos]

    @torch.no_grad()
    def score(self, paint: Callable[[Tensor], Tensor], picture: Tensor) -> Score:
        """Score `paint`, which maps a photograph to its painting, against the style of `picture`.

        All are (1, 3, H, W), RGB in 0..1.
        """
        wanted = self._features(picture)
        losses = []
        for photo, content in zip(self._photos, self._contents, strict=True):
            features = self._features(paint(photo).float().clamp(0, 1))
            losses.append(
                (content_loss(features[JUDGED_LAYERS[-1]], content), style_loss(features, wanted))
            )
        means = torch.tensor(losses).mean(dim=0).tolist()
        return Score(*means)

    def _features(self, rgb: Tensor) -> dict[str, Tensor]:
        return {k: v.float() for k, v in self._network(rgb, JUDGED_LAYERS).items()}


def content_loss(painted: Tensor, photo: Tensor) -> float:
    """Compute equation 9 for the features of one layer, (1, C, H, W)."""
    return float((_normalized(painted) - _normalized(photo)).square().mean())


def style_loss(painted: dict[str, Tensor], picture: dict[str, Tensor]) -> float:
    """Compute equation 10, summed over the layers; features are (1, C, H, W) of any size."""
    total = 0.0
    for layer, features in painted.items():
        for statistic in (torch.mean, torch.std):
            difference = statistic(features, dim=(2, 3)) - statistic(picture[layer], dim=(2, 3))
            total += float(difference.square().mean())
    return total


def keep_scores(run: Path, step: int, scores: Scores) -> None:
    """Append `scores` to `evaluation.csv` in the folder `run` and plot the whole table."""
    for style, score in scores.items():
        log(run / "evaluation.csv", {"step": step, "style": style, **score._asdict()})
    plot_scores(run / "evaluation.csv", run / "evaluation.png")


def plot_scores(table: Path, out: Path) -> None:
    """Plot both losses of each style, and their means, over the steps."""
    from matplotlib.figure import Figure

    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(12, 5), layout="constrained")
    for axes, loss in zip(figure.subplots(1, 2), Score._fields, strict=True):
        lines: dict[str, dict[int, float]] = {}
        for row in rows:
            lines.setdefault(row["style"], {})[int(row["step"])] = float(row[loss])
        for name, values in lines.items():
            axes.plot([*values], [*values.values()], ".-", linewidth=0.8, label=name)
        steps = sorted({step for values in lines.values() for step in values})
        means = [
            sum(v[step] for v in lines.values() if step in v)
            / sum(step in v for v in lines.values())
            for step in steps
        ]
        axes.plot(steps, means, "k.-", linewidth=2, label="mean")
        axes.set(xlabel="step", title=loss.replace("_", " "), ylim=(0, None))
    axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1, 0.5))
    figure.savefig(out, dpi=110)


def _normalized(features: Tensor) -> Tensor:
    mean, deviation = features.mean((2, 3), keepdim=True), features.std((2, 3), keepdim=True)
    return (features - mean) / (deviation + 1e-5)
