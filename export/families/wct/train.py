"""Training for WCT: decoders of a VGG's features, or compact autoencoders of each level."""

import dataclasses
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from engines import read_card
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
from export.common.losses import LossConfig, Losses, PerceptualLoss
from export.common.vgg import LossNetwork, load_loss_network, load_loss_networks
from export.data.photos import Crops, PaintingCrops, list_photos, prefetch, to_image
from export.errors import ExportError
from export.families.wct.compact_model import compact_autoencoder
from export.families.wct.model import LEVELS, Autoencoder, VggAutoencoder, number
from export.families.wct.transfer import transferred

FAMILY = "wct"

LOG_EVERY = 25  # steps
SAVE_EVERY = 500  # steps
MAX_GRADIENT_NORM = 1.0

WARM_UP = 100
"""Steps in which the rate rises: layers that know nothing, before ones that know much, would ruin
them, and did."""

OWN_SHARE = 0.4
"""Part of a deeper decoder's steps in which its own layers learn alone. Learned with the others
from the beginning, relu4_1's made brown blurs of everything."""

SAMPLES = 4  # photos in a sample picture


@dataclass(frozen=True)
class WctConfig:
    """The paper's section 3.1, but for the number of steps, and for `style_steps`."""

    photos: str
    """The folder of photographs to learn on."""
    pictures: str = field(default="", metadata={"option": False})
    """The folder of paintings, which only `style_steps` need."""
    start_from: str = ""
    """An engine of ours, of compact nets, to begin with, as far as it has the levels. Empty to
    begin with nothing."""
    encoder: str = ""
    """torchvision's vgg19, or a safetensors file (export/common/vgg.py). Empty for compact nets,
    whose encoders learn with the decoders."""
    teachers: tuple[str, ...] = ("vgg19",)
    """What a compact encoder's features are to resemble, but for a linear map; each level's is the
    first that has it."""
    levels: tuple[str, ...] = LEVELS
    """Levels of the nets."""
    learned: tuple[str, ...] = ()
    """Those of `levels` that learn; all of them if empty."""
    steps: int = 20000
    """For all levels, one after the other, the shallowest first; each as many times more than
    relu1_1's as its number says. A deeper one begins with the weights of the one before; of a
    published decoder, which is a continuation of that, for OWN_SHARE of its steps only what it has
    beyond learns: to make the shallower level's features of its own."""
    style_steps: int = 0
    """More of them for all levels, shared in the same way, in which the decoders learn to paint
    features that are colored by paintings, as WCT makes them."""
    batch_size: int = 4
    crop: int = 256
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-4
    """Adam's learning rate at its highest; in each phase it rises for WARM_UP steps and falls to
    a hundredth along half a cosine."""
    feature_weight: float = 1.0
    """Lambda of equation 1 (the paper's appendix says 1)."""
    style_weight: float = 3.0
    """Weight of the style in `style_steps`, beside 1 for content; at half the size half of it."""
    network: tuple[str, ...] = field(default=("vgg19",), metadata={"repeated": True})
    """Loss networks of `style_steps`, as other trainings take them (export/common/losses.py)."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"

    def __post_init__(self) -> None:
        if self.style_steps and not self.pictures:
            raise ExportError("to learn styled features takes a folder of --pictures")
        if self.start_from and self.encoder:
            raise ExportError("--start-from is for compact nets, which have no --encoder")

    def as_json(self) -> str:
        return json.dumps({"family": FAMILY, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        if values.pop("family") != FAMILY:
            raise ValueError("it is of another family of nets")
        tuples = {key: tuple(values[key]) for key in ("teachers", "levels", "learned", "network")}
        return cls(**values | tuples)


@dataclass(frozen=True)
class Phase:
    """What learns for some `steps`: the net of a level, as far as it learns at all; of its decoder
    only the layers before those of the level `until` if that is given; only the decoder, to paint
    colored features, if `styled`."""

    level: str
    steps: int
    until: str | None = None
    styled: bool = False
    begins: bool = False
    """The level, with the weights of the one before."""

    def __str__(self) -> str:
        if self.until is not None:
            return f"{self.level} to {self.until}"
        return f"{self.level} styled" if self.styled else self.level


class Autoencoders(nn.Module):
    """The net of each of `levels`; as a module, the losses of what learns."""

    def __init__(self, config: WctConfig) -> None:
        super().__init__()
        if not config.levels or set(config.levels) - set(LEVELS):
            raise ExportError(f"levels are some of {', '.join(LEVELS)}, got {config.levels}")
        if set(config.learned) - set(config.levels):
            raise ExportError(f"learned are some of {config.levels}, got {config.learned}")
        self.feature_weight = config.feature_weight
        self.compact = not config.encoder
        if self.compact:
            nets: list[Autoencoder] = [compact_autoencoder(level) for level in config.levels]
        else:
            encoder = load_loss_network(config.encoder, config.levels)
            nets = [VggAutoencoder(encoder, level) for level in config.levels]
        self.nets = nn.ModuleDict({net.level: net for net in nets})
        # Lift a compact encoder's features to the teacher's; no part of what is exported.
        self.lifts = nn.ModuleDict()

    def net(self, level: str) -> Autoencoder:
        net = self.nets[level]
        assert isinstance(net, Autoencoder)
        return net

    def add_lifts(self, teachers: Mapping[str, LossNetwork]) -> None:
        for level, teacher in teachers.items():
            self.lifts[level] = nn.Conv2d(self.net(level).channels, teacher.channels(level), 1)

    def forward(
        self,
        rgb: Tensor,
        phase: Phase,
        lesson: Tensor | None = None,
        style: Tensor | None = None,
        transfer: PerceptualLoss | None = None,
    ) -> dict[str, Tensor]:
        """For pictures (N, 3, H, W), 0..1, the terms of equation 1, pixels and features; or how far
        the features are that the phase's decoder makes of a shallower level. With a `lesson`, the
        teacher's features, also how far from it those of the encoder are, which then learns. With a
        `style`, pictures of the same shape, the terms of `transfer`, and of pixels."""
        net = self.net(phase.level)
        if style is not None and transfer is not None:
            with torch.no_grad():
                features = net.features(rgb)
                colored = transferred(features, net.features(style))
            again = {"pixels": _relative(net.picture(features).float(), rgb)}
            targets = transfer.statistics(style)
            losses: Losses = transfer(net.picture(colored).float(), rgb, targets)
            return again | losses.terms
        if phase.until is not None:
            assert isinstance(net, VggAutoencoder)
            with torch.no_grad():
                wanted = net.encoder(rgb, (phase.level, phase.until))
            decoded = net.decoder(wanted[phase.level], phase.until)
            return {"features": _relative(decoded.float(), wanted[phase.until].float())}
        with torch.set_grad_enabled(lesson is not None):
            features = net.features(rgb)
        decoded = net.picture(features).float()
        wanted = features.detach().float()
        terms = {
            "pixels": _relative(decoded, rgb),
            "features": self.feature_weight * _relative(net.features(decoded).float(), wanted),
        }
        if lesson is not None:
            # Of power 1, or a lift would have far to go: some networks' features are in hundreds.
            unit = lesson.float() / lesson.float().square().mean().sqrt()
            terms["lesson"] = (self.lifts[phase.level](features).float() - unit).square().mean()
        return terms

    def begin(self, level: str) -> None:
        """Let the net of `level` begin with the weights of the next shallower one, where it has
        them too."""
        shallower = self.shallower(level)
        if shallower is None:
            return
        net = self.net(level)
        own = net.state_dict()
        known = self.nets[shallower].state_dict()
        alike = {n: value for n, value in known.items() if n in own and value.shape == own[n].shape}
        net.load_state_dict(alike, strict=False)

    def shallower(self, level: str) -> str | None:
        """The deepest of the levels that are shallower than `level`."""
        return max((other for other in self.nets if other < level), default=None)

    def phases(self, config: WctConfig) -> list[Phase]:
        phases = []
        learned = config.learned or config.levels
        known = _known(config)
        for level, steps in _shared(config.steps, learned):
            shallower = self.shallower(level)
            begins = level not in known
            if shallower is not None and not self.compact:
                own = round(OWN_SHARE * steps)
                phases.append(Phase(level, own, until=shallower, begins=begins))
                steps, begins = steps - own, False
            phases.append(Phase(level, steps, begins=begins))
        for level, steps in _shared(config.style_steps, learned):
            phases.append(Phase(level, steps, styled=True))
        return phases


def _shared(steps: int, levels: Iterable[str]) -> list[tuple[str, int]]:
    """Each level's part of `steps`, in proportion to its number, the shallowest first."""
    levels = sorted(levels)
    shares = [0, *accumulate(number(level) for level in levels)]
    ends = [steps * share // shares[-1] for share in shares]
    return [
        (level, end - begin) for level, (begin, end) in zip(levels, pairwise(ends), strict=True)
    ]


def _relative(features: Tensor, wanted: Tensor) -> Tensor:
    """Mean squared difference, in relation to the power of `wanted`: the scale of features differs
    by a factor of a hundred between levels and networks."""
    return (features - wanted).square().mean() / wanted.square().mean().clamp(min=1e-8)


def train_wct(config: WctConfig, run: Path) -> Autoencoders:
    """Train, or go on training, in the folder `run`; returns the nets, in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` and `samples/STEP.png`: photos above, and below what
    each level makes of their features, and of those colored by the photo beside. Started by
    torchrun, each process takes its part of each batch. Raises ExportError if `run` holds a
    training with another configuration.
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
    phases = nets.phases(config)
    teachers = _teachers(config) if nets.compact else {}
    nets.add_lifts(teachers)
    nets.to(device)
    for teacher in teachers.values():
        teacher.to(device, dtype)
    transfer = _transfer_loss(config).to(device, dtype) if config.style_steps else None
    learned = [parameter for parameter in nets.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learned, config.learning_rate)
    moments = [(phase, step) for phase in phases for step in range(phase.steps)]
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(*moments[min(step, len(moments) - 1)])
    )
    state: dict[str, Stateful] = {"net": nets, "optimizer": optimizer, "schedule": schedule}
    first_step = resume(run, config.as_json(), state, device)
    if first_step == 0:
        for level in _known(config):
            load_weights(nets.net(level), Path(config.start_from), level)
    losses: nn.Module = nets
    if parts > 1:  # in each step only one level's net has gradients
        losses = DistributedDataParallel(nets, find_unused_parameters=True)

    plain = len(moments) - config.style_steps
    crops = Crops(list_photos(Path(config.photos)), config.crop, config.seed)
    batches = _batches(config, crops, first_step, rank, parts)
    if config.style_steps:  # of another seed, so that a photo meets another painting each time
        pictures = list_photos(Path(config.pictures))
        paintings = PaintingCrops(pictures, config.crop, config.seed + 1)
        styles = _batches(config, paintings, max(0, first_step - plain), rank, parts)
    end = len(moments) * config.batch_size
    previews = torch.stack([crops[end + i] for i in range(SAMPLES)]).to(device)
    progress = tqdm(
        total=len(moments), initial=first_step, unit="step", desc=run.name, disable=rank > 0
    )
    for step in range(first_step + 1, len(moments) + 1):
        rgb = next(batches).to(device)
        phase, done = moments[step - 1]
        given: dict[str, Any] = {}
        if phase.styled:
            given = {"style": next(styles).to(device), "transfer": transfer}
        elif done == 0 and phase.begins:
            nets.begin(phase.level)
        if phase.level in teachers and not phase.styled:
            with torch.no_grad():
                given["lesson"] = teachers[phase.level](rgb, (phase.level,))[phase.level]
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
        if rank == 0 and (step % SAVE_EVERY == 0 or step == len(moments)):
            save_checkpoint(run, config.as_json(), step, state)
            _save_samples(run, step, nets, previews)
    progress.close()
    return nets.eval()


def _known(config: WctConfig) -> list[str]:
    """The levels that it starts from."""
    if not config.start_from:
        return []
    parts = read_card(Path(config.start_from)).parts
    return [level for level in config.levels if level in parts]


def _transfer_loss(config: WctConfig) -> PerceptualLoss:
    """What decoders learn from that paint colored features: their layers were otherwise only shown
    features of photographs, and smear what is none."""
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
    """The samples that one of several processes takes of each batch."""

    def __init__(self, crops: Crops, batch_size: int, rank: int, parts: int) -> None:
        self._crops, self._batch_size = crops, batch_size
        self._rank, self._parts = rank, parts

    def __getitem__(self, index: int) -> Tensor:
        number, place = divmod(index, self._batch_size // self._parts)
        return self._crops[number * self._batch_size + place * self._parts + self._rank]


def _batches(
    config: WctConfig, crops: Crops, first_step: int, rank: int, parts: int
) -> Iterator[Tensor]:
    """This process's part of each batch, from `first_step` on."""
    own = _PartOfBatches(crops, config.batch_size, rank, parts)
    for _, (batch,) in prefetch([own], config.batch_size // parts, first_step):
        yield batch


def _rate(phase: Phase, done: int) -> float:
    """The learning rate after `done` steps of a phase, as a part of the highest."""
    rising = min(1.0, (done + 1) / WARM_UP)
    return rising * (0.01 + 0.99 * (1 + math.cos(math.pi * done / phase.steps)) / 2)


def _teachers(config: WctConfig) -> dict[str, LossNetwork]:
    """Each level's, as far as there is one."""
    teachers: dict[str, LossNetwork] = {}
    for source in config.teachers:
        network = load_loss_network(source, None)
        for level in config.levels:
            if level in network.layers:
                teachers.setdefault(level, network)
    return teachers


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
        for net in map(nets.net, nets.nets):
            features = net.features(previews)
            colors = features.roll(1, dims=0)  # each photo in the colors of another
            rows += [net.picture(features), net.picture(transferred(features, colors))]
    nets.train()
    sheet = torch.cat([torch.cat([*row], dim=-1) for row in rows], dim=-2)
    (run / "samples").mkdir(exist_ok=True)
    to_image(sheet).save(run / "samples" / f"{step:06d}.png")
