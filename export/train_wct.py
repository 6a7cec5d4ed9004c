"""Training for WCT: the decoders, and a compact encoder to go with them."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from export.checkpoint import (
    Stateful,
    descend,
    fast_dtype,
    log,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from export.errors import ExportError
from export.loss_network import LossNetwork, load_loss_network
from export.models.wct import LEVELS, Decoder, compact_encoder, number
from export.photos import PhotoCrops, list_photos, to_image

FAMILY = "wct"

LOG_EVERY = 25  # steps
SAVE_EVERY = 500  # steps
MAX_GRADIENT_NORM = 1.0

WARM_UP = 100
"""Steps in which the rate rises: layers that know nothing, before ones that know much, would ruin
them, and did."""

SAMPLES = 4  # photos in a sample picture


@dataclass(frozen=True)
class WctConfig:
    """The paper's section 3.1, but for the number of steps."""

    photos: str
    """The folder of photographs to learn on."""
    encoder: str = ""
    """torchvision's vgg19, or a safetensors file (export/loss_network.py). Empty for a compact one
    that is learned first."""
    teachers: tuple[str, ...] = ("vgg19",)
    """What a compact encoder's features are to resemble; each level's is the first that has it."""
    levels: tuple[str, ...] = LEVELS
    """To learn decoders for."""
    encoder_steps: int = 5000
    """Of a compact encoder's learning, before the decoders'."""
    steps: int = 20000
    """For all decoders, which learn one after the other, the shallowest first. A deeper one begins
    with the weights of the one before, of which it is a continuation."""
    batch_size: int = 4
    crop: int = 256
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-4
    """Of Adam; for the encoder and for each decoder it rises for WARM_UP steps and falls to a
    hundredth along half a cosine."""
    feature_weight: float = 1.0
    """Lambda of equation 1 (the paper's appendix says 1)."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"

    def as_json(self) -> str:
        return json.dumps({"family": FAMILY, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        if values.pop("family") != FAMILY:
            raise ValueError("it is of another family of nets")
        tuples = {key: tuple(values[key]) for key in ("teachers", "levels")}
        return cls(**values | tuples)


class Autoencoders(nn.Module):
    """An encoder and a decoder for each of `levels`; as a module, the losses of what learns."""

    def __init__(self, config: WctConfig) -> None:
        super().__init__()
        unknown = set(config.levels) - set(LEVELS)
        if unknown or not config.levels:
            raise ExportError(f"levels are some of {', '.join(LEVELS)}, got {config.levels}")
        self.feature_weight = config.feature_weight
        self.compact = not config.encoder
        self.encoder = (
            compact_encoder() if self.compact else load_loss_network(config.encoder, config.levels)
        )
        self.decoders = nn.ModuleDict(
            {level: Decoder(self.encoder, level) for level in config.levels}
        )
        # Lift a compact encoder's features to the teacher's; no part of what is exported.
        self.lifts = nn.ModuleDict()

    def add_lifts(self, teachers: Mapping[str, LossNetwork]) -> None:
        for level, teacher in teachers.items():
            self.lifts[level] = nn.Conv2d(self.encoder.channels(level), teacher.channels(level), 1)

    def forward(
        self, rgb: Tensor, level: str | None, lessons: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """For pictures (N, 3, H, W), 0..1, the terms of equation 1, pixels and features, of the
        decoder of `level`; or with None how far from `lessons`, the teachers' features, the
        encoder's are by layer."""
        if level is None:
            features = self.encoder(rgb, tuple(lessons))
            return {
                name: _relative(self.lifts[name](features[name]).float(), lesson.float())
                for name, lesson in lessons.items()
            }
        with torch.no_grad():
            wanted = self.encoder(rgb, (level,))[level]
        decoded = self.decoders[level](wanted).float()
        again = self.encoder(decoded, (level,))[level]
        return {
            "pixels": _relative(decoded, rgb),
            "features": self.feature_weight * _relative(again.float(), wanted.float()),
        }

    def begin(self, level: str) -> None:
        """Let the decoder of `level` begin with the weights of the next shallower one."""
        shallower = [other for other in self.decoders if number(other) < number(level)]
        if shallower:
            known = self.decoders[max(shallower)].state_dict()
            self.decoders[level].load_state_dict(known, strict=False)

    def phases(self, config: WctConfig) -> list[tuple[str | None, int]]:
        """What learns, a level's decoder or with None the encoder, and for how many steps."""
        levels = sorted(self.decoders)
        ends = [config.steps * part // len(levels) for part in range(len(levels) + 1)]
        steps = [end - begin for begin, end in pairwise(ends)]
        phases: list[tuple[str | None, int]] = [*zip(levels, steps, strict=True)]
        return [(None, config.encoder_steps), *phases] if self.compact else phases


def _relative(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference, in relation to the power of `wanted`: the scale of features differs
    by a factor of a hundred between levels and networks."""
    return (features - wanted).square().mean() / wanted.square().mean().clamp(min=1e-8)


def train_wct(config: WctConfig, run: Path) -> Autoencoders:
    """Train, or go on training, in the folder `run`; returns the nets, in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` and `samples/STEP.png`: photos above, and below what
    each level makes of their features. Started by torchrun, each process takes its part of each
    batch. Raises ExportError if `run` holds a training with another configuration.
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
        raise ExportError(f"a batch of {config.batch_size} can't be shared by {parts} processes")
    device = torch.device(config.device, int(os.environ.get("LOCAL_RANK", "0")))
    if config.device == "cpu":
        device = torch.device("cpu")
    torch.manual_seed(config.seed)
    dtype = fast_dtype(device)
    nets = Autoencoders(config)
    teachers = _teachers(config) if nets.compact else {}
    nets.add_lifts(teachers)
    nets.to(device)
    for teacher in teachers.values():
        teacher.to(device, dtype)
    learned = [parameter for parameter in nets.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, config.learning_rate)
    phases = nets.phases(config)
    moments = [(phase, step, of) for phase, of in phases for step in range(of)]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(*moments[min(step, len(moments) - 1)][1:])
    )
    state: dict[str, Stateful] = {"net": nets, "optimizer": optimizer, "schedule": schedule}
    first_step = resume(run, config.as_json(), state, device)
    losses: nn.Module = nets
    if parts > 1:  # in each step one level's decoder has no gradient
        losses = DistributedDataParallel(nets, find_unused_parameters=True)

    crops = PhotoCrops(
        list_photos(Path(config.photos)),
        config.crop,
        len(moments) * config.batch_size,
        config.seed,
    )
    batches = DataLoader(
        crops,
        batch_size=config.batch_size // parts,
        sampler=range(first_step * config.batch_size + rank, len(crops), parts),
        num_workers=1,
    )
    previews = torch.stack([crops[len(crops) + i] for i in range(SAMPLES)]).to(device)
    progress = tqdm(
        total=len(moments), initial=first_step, unit="step", desc=run.name, disable=rank > 0
    )
    for step, batch in enumerate(batches, start=first_step + 1):
        rgb = batch.to(device)
        level, done, _ = moments[step - 1]
        if level is not None and done == 0:
            nets.begin(level)
        if level is not None:
            nets.encoder.requires_grad_(False)
        with torch.no_grad():
            lessons = _lessons(teachers, rgb) if level is None else {}
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            terms = losses(rgb, level, lessons)
        loss = descend(terms, optimizer, schedule, MAX_GRADIENT_NORM)
        progress.update()
        if rank == 0 and step % LOG_EVERY == 0:
            values = {name: f"{term.item():.4f}" for name, term in terms.items()}
            progress.set_postfix(values)
            log(run, {"step": step, "level": level or "encoder", "loss": f"{loss.item():.5f}"})
        if rank == 0 and (step % SAVE_EVERY == 0 or step == len(moments)):
            save_checkpoint(run, config.as_json(), step, state)
            _save_samples(run, step, nets, previews)
    progress.close()
    return nets.eval()


def _rate(done: int, steps: int) -> float:
    """The learning rate after `done` of `steps`, as a part of the highest."""
    rising = min(1.0, (done + 1) / WARM_UP)
    return rising * (0.01 + 0.99 * (1 + math.cos(math.pi * done / steps)) / 2)


def _teachers(config: WctConfig) -> dict[str, LossNetwork]:
    """Each level's, as far as there is one."""
    teachers: dict[str, LossNetwork] = {}
    for source in config.teachers:
        network = load_loss_network(source, None)
        for level in LEVELS:  # in one order: processes and checkpoints compare by it
            if level in network.layers:
                teachers.setdefault(level, network)
    return teachers


def _lessons(teachers: Mapping[str, LossNetwork], rgb: Tensor) -> dict[str, Tensor]:
    lessons = {}
    for teacher in dict.fromkeys(teachers.values()):
        levels = [level for level, network in teachers.items() if network is teacher]
        lessons.update(teacher(rgb, levels))
    return lessons


def load_trained_wct(checkpoint: Path) -> tuple[Autoencoders, WctConfig, int]:
    """The nets of a checkpoint, in evaluation mode, with their configuration and step."""
    state = read_checkpoint(checkpoint)
    try:
        config = WctConfig.from_json(state["config"])
        nets = Autoencoders(config)
        weights = {
            name: value for name, value in state["net"].items() if not name.startswith("lifts.")
        }
        nets.load_state_dict(weights)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{checkpoint} is not of nets for WCT: {error}") from error
    return nets.eval(), config, int(state["step"])


def _save_samples(run: Path, step: int, nets: Autoencoders, previews: Tensor) -> None:
    nets.eval()
    rows = [previews]
    with torch.no_grad():
        for level, decoder in nets.decoders.items():
            rows.append(decoder(nets.encoder(previews, (level,))[level]))
    nets.train()
    sheet = torch.cat([torch.cat([*row], dim=-1) for row in rows], dim=-2)
    (run / "samples").mkdir(exist_ok=True)
    to_image(sheet).save(run / "samples" / f"{step:06d}.png")
