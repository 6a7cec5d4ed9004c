"""Training for WCT: the decoders, and a compact encoder to go with them."""

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader
from tqdm import tqdm

from export.checkpoint import (
    Stateful,
    fast_dtype,
    log,
    read_checkpoint,
    resume,
    save_checkpoint,
)
from export.errors import ExportError
from export.loss_network import LossNetwork, load_loss_network
from export.models.wct import LEVELS, Decoder, compact_encoder
from export.photos import PhotoCrops, list_photos, to_image

FAMILY = "wct"

LOG_EVERY = 24  # steps; no multiple of 5, or it would show one level only
SAVE_EVERY = 500  # steps
SAMPLES = 4  # photos in a sample picture


@dataclass(frozen=True)
class WctConfig:
    """The paper's section 3.1, but for the number of steps."""

    photos: str
    """The folder of photographs to learn on."""
    encoder: str = ""
    """torchvision's vgg19, or a safetensors file (export/loss_network.py). Empty for a compact one
    that is learned with the decoders."""
    teachers: tuple[str, ...] = ("vgg19",)
    """What a compact encoder's features are to resemble; each level's is the first that has it."""
    levels: tuple[str, ...] = LEVELS
    """To learn decoders for."""
    encoder_steps: int = 2000
    """After which a compact encoder stays as it is and only the decoders go on learning, at a
    fraction of the time: the teachers are costlier than all the rest."""
    steps: int = 10000
    """A step is for one level; they take turns."""
    batch_size: int = 4
    crop: int = 256
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-4
    """Of Adam; it falls to a hundredth along half a cosine."""
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
    """An encoder and a decoder for each of `levels`; as a module, the losses of one level."""

    def __init__(self, config: WctConfig) -> None:
        super().__init__()
        unknown = set(config.levels) - set(LEVELS)
        if unknown or not config.levels:
            raise ExportError(f"levels are some of {', '.join(LEVELS)}, got {config.levels}")
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
        self, rgb: Tensor, level: str, feature_weight: float, lessons: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """The terms for pictures (N, 3, H, W), 0..1: reconstruction and features (equation 1) of
        one level, and how far from `lessons`, the teachers' features, the encoder's are."""
        features = self.encoder(rgb, tuple(dict.fromkeys([*lessons, level])))
        decoded = self.decoders[level](features[level])
        terms = {"pixels": (decoded.float() - rgb).square().mean()}
        # The encoder as it is, or it could meet the decoder half way by seeing less.
        frozen = {name: value.detach() for name, value in self.encoder.named_parameters()}
        again: Mapping[str, Tensor] = torch.func.functional_call(
            self.encoder, frozen, (decoded, (level,))
        )
        wanted = features[level].detach().float()
        terms["features"] = feature_weight * _relative(again[level].float(), wanted)
        for name, lesson in lessons.items():
            lifted = self.lifts[name](features[name]).float()
            terms[f"teacher_{name}"] = _relative(lifted, lesson.float())
        return terms


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
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(
        optimizer, config.steps, 0.01 * config.learning_rate
    )
    state: dict[str, Stateful] = {"net": nets, "optimizer": optimizer, "schedule": schedule}
    first_step = resume(run, config.as_json(), state, device)
    losses: nn.Module = nets
    if parts > 1:  # in each step one level's decoder has no gradient
        losses = DistributedDataParallel(nets, find_unused_parameters=True)

    crops = PhotoCrops(
        list_photos(Path(config.photos)),
        config.crop,
        config.steps * config.batch_size,
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
        total=config.steps, initial=first_step, unit="step", desc=run.name, disable=rank > 0
    )
    for step, batch in enumerate(batches, start=first_step + 1):
        rgb = batch.to(device)
        level = config.levels[step % len(config.levels)]
        learning = nets.compact and step <= config.encoder_steps
        if not learning:
            nets.encoder.requires_grad_(False)
        with torch.no_grad():
            lessons = _lessons(teachers if learning else {}, rgb)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            terms = losses(rgb, level, config.feature_weight, lessons)
        loss: Tensor = sum(terms.values(), torch.zeros((), device=device))
        if not torch.isfinite(loss):
            raise ExportError(
                f"the loss is {loss.item()} at step {step}; lower --learning-rate and start again"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        progress.update()
        if rank == 0 and step % LOG_EVERY == 0:
            values = {"step": step, "level": level}
            values |= {name: f"{term.item():.5f}" for name, term in terms.items()}
            progress.set_postfix(values)
            log(run, values)
        if rank == 0 and (step % SAVE_EVERY == 0 or step == config.steps):
            save_checkpoint(run, config.as_json(), step, state)
            _save_samples(run, step, nets, previews)
    progress.close()
    return nets.eval()


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
