"""Training loop: steps, averaged weights, checkpoints, sample sheets and evaluation."""

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
SAVE_EVERY = 500  # steps; the most that a power cut can cost
SAMPLE_EVERY = 1000  # steps
EVALUATE_EVERY = 5000  # steps

MAX_GRADIENT_NORM = 5.0
"""Norm to which gradients are clipped.

A photo without structure, such as an empty sky, gives gradients in the thousands.
"""

LAST_RATE = 0.02
"""Learning rate at the end, as a fraction of the highest."""

RATE_WARM_UP = 100
"""Steps over which the learning rate rises; a tenth of the steps in a short training."""

AVERAGE_WARM_UP = 20
"""Steps that the average first looks back on, instead of the hundreds of its decay."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of every training that runs this loop."""

    start_from: str = ""
    """Engine file whose weights the training starts from; empty for random weights.

    It halves the steps needed, as most of painting is the same in every style.
    """
    steps: int = 10_000
    batch_size: int = 4
    accumulate: int = 1
    """Batches whose gradients are averaged for one step, if memory holds no larger batch."""
    crop: int = 192
    """Side in pixels of the square training crops."""
    learning_rate: float = 1e-3
    """Highest learning rate of Adam."""
    average_decay: float = 0.999
    """Decay per step of the running average of the weights; 0 to use the weights as they are.

    Samples, evaluation and export use the average.
    """
    evaluate: str = ""
    """Folder of photographs, never trained on, for samples and evaluation.

    If it is empty, samples use crops of the training photographs.
    """
    judge: str = ""
    """Loss network for the evaluation, best not one of the training's; empty for none."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"

    def rate(self, step: int) -> float:
        """Return a step's learning rate, relative to the highest: a rise, then half a cosine."""
        cosine = (1 + math.cos(math.pi * min(1.0, step / self.steps))) / 2
        risen = min(1.0, (step + 1) / min(RATE_WARM_UP, max(1, self.steps // 10)))
        return risen * (LAST_RATE + (1 - LAST_RATE) * cosine)


Config = TypeVar("Config", bound=LoopConfig)


class Family(Protocol):
    """A kind of net and how it learns."""

    net: nn.Module
    state: Mapping[str, Stateful]
    """Other objects that change from step to step; checkpoints keep them."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return parameter groups with their learning rates, as optimizers take them."""

    def batches(self, first: int) -> Iterable[Any]:
        """Yield batches from number `first` on; each depends on its number alone."""

    def losses(self, batch: Any, step: int) -> dict[str, Tensor]:
        """Return the weighted loss terms by name; their sum is minimized."""

    def sheet(self, net: nn.Module) -> Sheet:
        """Return photographs painted by `net`, which is in evaluation mode."""

    def scores(self, net: nn.Module) -> Scores | None:
        """Score `net` on photographs that it never saw; return None without a judge."""


def run_training(
    family: Family,
    config: LoopConfig,
    description: str,
    run: Path,
    on_start: Callable[[], None] = lambda: None,
) -> nn.Module:
    """Train, or resume a training, in the folder `run`; return the averaged net in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` (step and loss terms), `samples/STEP.jpg`,
    `progress.jpg` (one row for each of a few steps) and, with a judge, `evaluation.csv` and
    `evaluation.png`. `description` is the configuration as JSON. `on_start` is called once the
    weights of `start_from` are in the net. Raises ExportError if the folder holds a training with
    another configuration.
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
    """Return a running average of `net`'s weights that follows closely in the first steps."""

    def average(before: Tensor, now: Tensor, updates: Tensor | int) -> Tensor:
        step = float(updates)
        kept = min(decay, step / (step + AVERAGE_WARM_UP))
        return before.lerp(now, 1 - kept) if before.is_floating_point() else now

    return AveragedModel(net, avg_fn=average, use_buffers=True)


def load_trained(
    checkpoint: Path, parse: Callable[[str], Config], make_net: Callable[[Config], nn.Module]
) -> tuple[nn.Module, Config, int]:
    """Return the averaged net of a checkpoint in evaluation mode, its configuration and its step.

    `parse` reads the configuration. Raises ExportError if the checkpoint is of another family.
    """
    state = read_checkpoint(checkpoint)
    try:
        config = parse(state["config"])
        average = averaged(make_net(config), config.average_decay)
        average.load_state_dict(state["average"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{checkpoint} holds no net of this family: {error}") from error
    net: nn.Module = average.module.eval()
    return net, config, int(state["step"])
