"""The loop that every training runs: steps, averaged weights, checkpoints, samples, judgement."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from export.common.checkpoint import (
    Stateful,
    has_checkpoint,
    log,
    optimizer_step,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from export.common.engine_file import load_weights
from export.common.evaluation import Scores, keep_scores
from export.common.sheets import Sheet, save_sheet
from export.errors import ExportError

LOG_EVERY = 25  # steps; often enough to see a divergence early
SAVE_EVERY = 500  # steps; what a power cut may cost
SAMPLE_EVERY = 1000  # steps
EVALUATE_EVERY = 5000  # steps

MAX_GRADIENT_NORM = 5.0
"""A photo without structure, an empty sky, gives gradients in the thousands."""

LAST_RATE = 0.02
"""The learning rate at the end, as a part of the highest."""

RATE_WARM_UP = 100
"""Steps in which the learning rate rises; a tenth of a short training."""

AVERAGE_WARM_UP = 20
"""Steps that the average looks back on at first, instead of the hundreds of its decay."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """What every training is told."""

    start_from: str = ""
    """An engine of ours, whose weights to begin with: half the steps do then, as most of painting
    is the same in every style. Empty to begin with nothing."""
    steps: int = 10_000
    batch_size: int = 4
    accumulate: int = 1
    """Batches whose gradients are added up for one step, where memory holds no larger batch."""
    crop: int = 192
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-3
    """Adam's learning rate at its highest."""
    average_decay: float = 0.999
    """Decay, each step, of the running average of the weights, which is what samples, judgement and
    export use; 0 for the weights as they are."""
    evaluate: str = ""
    """Folder of photographs, never trained on, for samples and judgement; samples take crops of the
    training's photographs if it is empty."""
    judge: str = ""
    """Loss network for the judgement, best another one than the training's; empty for none."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"

    def rate(self, step: int) -> float:
        """The learning rate of a step, as a part of the highest: a rise, then half a cosine."""
        cosine = (1 + math.cos(math.pi * min(1.0, step / self.steps))) / 2
        risen = min(1.0, (step + 1) / min(RATE_WARM_UP, max(1, self.steps // 10)))
        return risen * (LAST_RATE + (1 - LAST_RATE) * cosine)


Config = TypeVar("Config", bound=LoopConfig)


class Family(Protocol):
    """A kind of net and how it learns."""

    net: nn.Module
    state: Mapping[str, Stateful]
    """What else changes from step to step, to be kept in checkpoints."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups of parameters as optimizers take them, with their learning rates."""

    def batches(self, first: int) -> Iterable[Any]:
        """Batches from number `first` on; each depends on its number alone."""

    def losses(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Weighted loss terms by name, whose sum is minimized."""

    def sheet(self, net: nn.Module) -> Sheet:
        """Photographs painted by `net`, which is in evaluation mode."""

    def scores(self, net: nn.Module) -> Scores | None:
        """How well `net` paints photographs that it never saw; None without a judge."""


def run_training(
    family: Family,
    config: LoopConfig,
    description: str,
    run: Path,
    on_start: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train, or go on training, in the folder `run`; returns the averaged net, in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` (step and loss terms), `samples/STEP.jpg`,
    `progress.jpg` (the samples of more and more steps, one row a step) and, with a judge,
    `evaluation.csv` and `evaluation.png`. `description` is the configuration as JSON. Raises
    ExportError if the folder holds a training with another one. `on_start` is called once the
    weights of `start_from` are in the net.
    """
    device = torch.device(config.device)
    net = family.net
    if config.start_from and not has_checkpoint(run):
        load_weights(net, Path(config.start_from))
        on_start()
    average = averaged(net, config.average_decay)
    optimizer = torch.optim.Adam(family.parameter_groups())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.rate)
    components: dict[str, Stateful] = {
        "net": net,
        "average": average,
        "optimizer": optimizer,
        "schedule": schedule,
        **family.state,
    }
    first = resume(run, description, components, device)
    batches = iter(family.batches(first * config.accumulate))
    progress = tqdm(total=config.steps, initial=first, unit="step", desc=run.name)
    net.train()
    for step in range(first + 1, config.steps + 1):
        several = (family.losses(batch, step) for batch in islice(batches, config.accumulate))
        terms = optimizer_step(several, config.accumulate, optimizer, schedule, MAX_GRADIENT_NORM)
        average.update_parameters(net)
        progress.update()
        last = step == config.steps
        if step % LOG_EVERY == 0:
            progress.set_postfix({name: f"{value:.3f}" for name, value in terms.items()})
            log(run / "log.csv", {"step": step, **terms})
        if step % SAVE_EVERY == 0 or last:
            save_checkpoint(run, description, step, components)
        if step % SAMPLE_EVERY == 0 or last:
            save_sheet(run, step, family.sheet(average.module.eval()))
        if step % EVALUATE_EVERY == 0 or last:
            scores = family.scores(average.module.eval())
            if scores is not None:
                keep_scores(run, step, scores)
    progress.close()
    trained: nn.Module = average.module.eval()
    return trained


def averaged(net: nn.Module, decay: float) -> AveragedModel:
    """A running average of `net`'s weights, which follows closely in the first steps."""

    def average(before: Tensor, now: Tensor, updates: Tensor | int) -> Tensor:
        step = float(updates)
        kept = min(decay, step / (step + AVERAGE_WARM_UP))
        return before.lerp(now, 1 - kept) if before.is_floating_point() else now

    return AveragedModel(net, avg_fn=average, use_buffers=True)


def load_trained(
    checkpoint: Path, parse: Callable[[str], Config], make_net: Callable[[Config], nn.Module]
) -> tuple[nn.Module, Config, int]:
    """The averaged net of a checkpoint, in evaluation mode, with its configuration and step. Raises
    ExportError if it is of another family, which `parse` sees.
    """
    state = read_checkpoint(checkpoint)
    try:
        config = parse(state["config"])
        average = averaged(make_net(config), config.average_decay)
        average.load_state_dict(state["average"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{checkpoint} is not of a net of this family: {error}") from error
    net: nn.Module = average.module.eval()
    return net, config, int(state["step"])
