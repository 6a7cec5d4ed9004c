"""Training for WCT: the decoders, and a compact encoder to go with them."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
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
from export.photos import PhotoCrops, list_photos, one_ahead, to_image

FAMILY = "wct"

LOG_EVERY = 25  # steps
SAVE_EVERY = 500  # steps
MAX_GRADIENT_NORM = 1.0

WARM_UP = 100
"""Steps in which the rate rises: layers that know nothing, before ones that know much, would ruin
them, and did."""

OWN_SHARE = 0.4
"""Of a deeper decoder's steps, in which its own layers learn alone. Learned with the others from
the beginning, relu4_1's made brown blurs of everything."""

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
    """For all decoders, which learn one after the other, the shallowest first; each as many times
    more than relu1_1's as its number says. A deeper one begins with the weights of the one before,
    of which it is a continuation, and for OWN_SHARE of its steps learns only what it has beyond
    that: to make the shallower level's features of its own."""
    batch_size: int = 4
    crop: int = 256
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-4
    """Of Adam; in each phase it rises for WARM_UP steps and falls to a hundredth along half a
    cosine."""
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


@dataclass(frozen=True)
class Phase:
    """What learns for some `steps`: the encoder, if `level` is None, or the decoder of a level, of
    which only the layers before those of the level `until` if that is given."""

    level: str | None
    until: str | None
    steps: int

    def __str__(self) -> str:
        if self.level is None:
            return "encoder"
        return self.level if self.until is None else f"{self.level} to {self.until}"


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
        self, rgb: Tensor, phase: Phase, lessons: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """For pictures (N, 3, H, W), 0..1, the terms of equation 1, pixels and features, of the
        phase's decoder; or how far the features are that it makes of a shallower level; or for the
        encoder how far from `lessons`, the teachers' features, its own are by layer."""
        if phase.level is None:
            features = self.encoder(rgb, tuple(lessons))
            return {
                name: _relative(self.lifts[name](features[name]).float(), lesson.float())
                for name, lesson in lessons.items()
            }
        level, decoder = phase.level, self.decoders[phase.level]
        layers = (level,) if phase.until is None else (level, phase.until)
        with torch.no_grad():
            wanted = self.encoder(rgb, layers)
        decoded = decoder(wanted[level], phase.until).float()
        if phase.until is not None:
            return {"features": _relative(decoded, wanted[phase.until].float())}
        again = self.encoder(decoded, layers)[level]
        return {
            "pixels": _relative(decoded, rgb),
            "features": self.feature_weight * _relative(again.float(), wanted[level].float()),
        }

    def begin(self, level: str) -> None:
        """Let the decoder of `level` begin with the weights of the next shallower one."""
        shallower = self.shallower(level)
        if shallower is not None:
            known = self.decoders[shallower].state_dict()
            self.decoders[level].load_state_dict(known, strict=False)

    def shallower(self, level: str) -> str | None:
        """The deepest of the levels that are shallower than `level`."""
        return max((other for other in self.decoders if other < level), default=None)

    def phases(self, config: WctConfig) -> list[Phase]:
        phases = [Phase(None, None, config.encoder_steps)] if self.compact else []
        levels = sorted(self.decoders)
        shares = [0, *accumulate(number(level) for level in levels)]
        ends = [config.steps * share // shares[-1] for share in shares]
        for level, (begin, end) in zip(levels, pairwise(ends), strict=True):
            shallower = self.shallower(level)
            own = 0 if shallower is None else round(OWN_SHARE * (end - begin))
            phases += [Phase(level, shallower, own), Phase(level, None, end - begin - own)]
        return phases


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
    moments = [(phase, step) for phase in nets.phases(config) for step in range(phase.steps)]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(*moments[min(step, len(moments) - 1)])
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
    )
    previews = torch.stack([crops[len(crops) + i] for i in range(SAMPLES)]).to(device)
    progress = tqdm(
        total=len(moments), initial=first_step, unit="step", desc=run.name, disable=rank > 0
    )
    for step, batch in enumerate(one_ahead(batches), start=first_step + 1):
        rgb = batch.to(device)
        phase, _ = moments[step - 1]
        if phase.level is not None:
            nets.encoder.requires_grad_(False)
            if step == 1 or moments[step - 2][0].level != phase.level:
                nets.begin(phase.level)
        with torch.no_grad():
            lessons = _lessons(teachers, rgb) if phase.level is None else {}
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            terms = losses(rgb, phase, lessons)
        loss = descend(terms, optimizer, schedule, MAX_GRADIENT_NORM)
        progress.update()
        if rank == 0 and step % LOG_EVERY == 0:
            values = {name: f"{term.item():.4f}" for name, term in terms.items()}
            progress.set_postfix(values)
            log(run, {"step": step, "learns": str(phase), "loss": f"{loss.item():.5f}"})
        if rank == 0 and (step % SAVE_EVERY == 0 or step == len(moments)):
            save_checkpoint(run, config.as_json(), step, state)
            _save_samples(run, step, nets, previews)
    progress.close()
    return nets.eval()


def _rate(phase: Phase, done: int) -> float:
    """The learning rate after `done` steps of a phase, as a part of the highest."""
    rising = min(1.0, (done + 1) / WARM_UP)
    return rising * (0.01 + 0.99 * (1 + math.cos(math.pi * done / phase.steps)) / 2)


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
