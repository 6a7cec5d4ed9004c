"""Train WCT: decoders of a VGG's features, or compact autoencoders of each level."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from export.common.checkpoint import (
    Stateful,
    fast_dtype,
    log,
    optimizer_step,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from export.common.engine_file import load_weights
from export.common.losses import LossConfig, PerceptualLoss
from export.common.vgg import LossNetwork, load_loss_network, load_loss_networks
from export.data.photos import Crops, PaintingCrops, list_photos, prefetch, to_image
from export.errors import ExportError
from export.families.wct.autoencoders import Autoencoders, Phase, known_levels
from export.families.wct.config import WctConfig
from export.families.wct.transfer import transferred

LOG_EVERY = 25  # steps
SAVE_EVERY = 500  # steps
MAX_GRADIENT_NORM = 1.0

WARM_UP = 100
"""Steps over which the learning rate rises.

Without it, untrained layers ruined the trained layers after them.
"""

SAMPLES = 4  # photos in a sample picture


def train_wct(config: WctConfig, run: Path) -> Autoencoders:
    """Train, or resume a training, in the folder `run`; return the nets in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` and `samples/STEP.png`. A sample has photos on top
    and below them, for each level, the photos decoded from their features and in the colors of the
    photo beside. Under torchrun, each process takes its part of each batch. Raises ExportError if
    `run` holds a training with another configuration, or if something that the training needs can't
    be read.
    """
    parts = int(os.environ.get("WORLD_SIZE", "1"))
    if parts > 1:
        distributed.init_process_group("nccl" if config.device == "cuda" else "gloo")
    try:
        return _train(config, run, parts)
    finally:
        if parts > 1:
            distributed.destroy_process_group()


def _train(config: WctConfig, run: Path, parts: int) -> Autoencoders:
    rank = distributed.get_rank() if parts > 1 else 0
    if config.batch_size % parts:
        raise ExportError(
            f"--batch-size {config.batch_size} must be a multiple of the {parts} processes"
        )
    device = torch.device(config.device, int(os.environ.get("LOCAL_RANK", "0")))
    if config.device == "cpu":
        device = torch.device("cpu")
    torch.manual_seed(config.seed)
    dtype = fast_dtype(device)
    nets = Autoencoders(config)
    phases = nets.phases(config)
    teachers = _teachers(config) if nets.compact else {}
    nets.add_projections(teachers)
    nets.to(device)
    for teacher in teachers.values():
        teacher.to(device, dtype)
    transfer = _transfer_loss(config).to(device, dtype) if config.style_steps else None
    trainable = [parameter for parameter in nets.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trainable, config.learning_rate)
    schedule_steps = [(phase, step) for phase in phases for step in range(phase.steps)]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(*schedule_steps[min(step, len(schedule_steps) - 1)])
    )
    state: dict[str, Stateful] = {"net": nets, "optimizer": optimizer, "schedule": schedule}
    first_step = resume(run, config.as_json(), state, device)
    if first_step == 0:
        for level in known_levels(config):
            load_weights(nets.net(level), Path(config.start_from), level)
    losses: nn.Module = nets
    if parts > 1:  # in each step only one level's net has gradients
        losses = DistributedDataParallel(nets, find_unused_parameters=True)

    plain = len(schedule_steps) - config.style_steps
    crops = Crops(list_photos(Path(config.photos)), config.crop, config.seed)
    batches = _batches(config, crops, first_step, rank, parts)
    if config.style_steps:  # another seed, so that a photo meets another painting each time
        pictures = list_photos(Path(config.pictures))
        paintings = PaintingCrops(pictures, config.crop, config.seed + 1)
        styles = _batches(config, paintings, max(0, first_step - plain), rank, parts)
    end = len(schedule_steps) * config.batch_size
    previews = torch.stack([crops[end + i] for i in range(SAMPLES)]).to(device)
    progress = tqdm(
        total=len(schedule_steps), initial=first_step, unit="step", desc=run.name, disable=rank > 0
    )
    for step in range(first_step + 1, len(schedule_steps) + 1):
        rgb = next(batches).to(device)
        phase, done = schedule_steps[step - 1]
        given: dict[str, Any] = {}
        if phase.styled:
            given = {"style": next(styles).to(device), "transfer": transfer}
        elif done == 0 and phase.begins:
            nets.start_level(phase.level)
        if phase.level in teachers and not phase.styled:
            with torch.no_grad():
                given["teacher_features"] = teachers[phase.level](rgb, (phase.level,))[phase.level]
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            terms = losses(rgb, phase, **given)
        values = optimizer_step([terms], 1, optimizer, schedule, MAX_GRADIENT_NORM)
        progress.update()
        if rank == 0 and step % LOG_EVERY == 0:
            described = " ".join(f"{name} {value:.4f}" for name, value in values.items())
            progress.set_postfix_str(described)
            loss = sum(values.values())
            row = {"step": step, "learns": str(phase), "loss": loss, "of": described}
            log(run / "log.csv", row)
        if rank == 0 and (step % SAVE_EVERY == 0 or step == len(schedule_steps)):
            save_checkpoint(run, config.as_json(), step, state)
            _save_samples(run, step, nets, previews)
    progress.close()
    return nets.eval()


def _transfer_loss(config: WctConfig) -> PerceptualLoss:
    """Return the loss for decoders that learn to paint colored features.

    Before, decoders were shown only features of photographs, and they smear all others.
    """
    loss = LossConfig(
        network=config.network,
        content_weight=1.0,
        style_weight=config.style_weight,
        coarse_style_weight=config.style_weight / 2,
    )
    return PerceptualLoss(
        loss, load_loss_networks(loss.network, (*loss.content_layers, *loss.style_layers))
    )


class _PartOfBatches:
    """The samples that one of several processes takes from each batch."""

    def __init__(self, crops: Crops, batch_size: int, rank: int, parts: int) -> None:
        self._crops, self._batch_size = crops, batch_size
        self._rank, self._parts = rank, parts

    def __getitem__(self, index: int) -> Tensor:
        number, place = divmod(index, self._batch_size // self._parts)
        return self._crops[number * self._batch_size + place * self._parts + self._rank]


def _batches(
    config: WctConfig, crops: Crops, first_step: int, rank: int, parts: int
) -> Iterator[Tensor]:
    """Yield this process's part of each batch, from `first_step` on."""
    own = _PartOfBatches(crops, config.batch_size, rank, parts)
    for _, (batch,) in prefetch([own], config.batch_size // parts, first_step):
        yield batch


def _rate(phase: Phase, done: int) -> float:
    """Return the learning rate after `done` steps of a phase, relative to the highest."""
    rising = min(1.0, (done + 1) / WARM_UP)
    return rising * (0.01 + 0.99 * (1 + math.cos(math.pi * done / phase.steps)) / 2)


def _teachers(config: WctConfig) -> dict[str, LossNetwork]:
    """Return the teacher of each level that has one."""
    teachers: dict[str, LossNetwork] = {}
    for source in config.teachers:
        network = load_loss_network(source, None)
        for level in config.levels:
            if level in network.layers:
                teachers.setdefault(level, network)
    return teachers


def load_trained_wct(checkpoint: Path) -> tuple[Autoencoders, WctConfig, int]:
    """Return the nets of a checkpoint in evaluation mode, with their configuration and step.

    Raises ExportError if the checkpoint is not of nets for WCT.
    """
    state = read_checkpoint(checkpoint)
    try:
        config = WctConfig.from_json(state["config"])
        nets = Autoencoders(config)
        weights = {
            name: value
            for name, value in state["net"].items()
            if not name.startswith("projections.")
        }
        nets.load_state_dict(weights)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{checkpoint} holds no nets for WCT: {error}") from error
    return nets.eval(), config, int(state["step"])


def _save_samples(run: Path, step: int, nets: Autoencoders, previews: Tensor) -> None:
    nets.eval()
    rows = [previews]
    with torch.no_grad():
        for net in map(nets.net, nets.nets):
            features = net.features(previews)
            colors = features.roll(1, dims=0)  # each photo in the colors of another
            rows += [net.picture(features), net.picture(transferred(features, colors))]
    nets.train()
    sheet = torch.cat([torch.cat([*row], dim=-1) for row in rows], dim=-2)
    (run / "samples").mkdir(exist_ok=True)
    to_image(sheet).save(run / "samples" / f"{step:06d}.png")
