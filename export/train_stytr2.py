"""Training of StyTr2, on photographs and paintings."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from torch import Tensor
from torch.utils.data import DataLoader, StackDataset
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
from export.engine_file import load_weights
from export.errors import ExportError
from export.loss_network import load_loss_network
from export.models.stytr2 import PATCH, StyTr2, StyTr2Config
from export.photos import PhotoCrops, list_photos, one_ahead, to_image
from export.stytr2_loss import StyTr2Loss, StyTr2LossConfig, repainted_of_each

FAMILY = "stytr2"

LOG_EVERY = 25  # steps
SAVE_EVERY = 250  # steps
MAX_GRADIENT_NORM = 10.0

FIRST_RATE = 0.25
LAST_RATE = 0.01
"""Of the learning rate, with which it begins and ends."""

SAMPLES = 4  # photos in a sample picture, and paintings


@dataclass(frozen=True)
class StyTr2TrainConfig:
    """Section 4.1 of the paper and the authors' code, but for the end of the learning rate, which
    there stays at more than a third, and for `repainted_of_each`."""

    photos: str
    """The folder of photographs to learn on."""
    pictures: str
    """The folder of paintings to learn on."""
    start_from: str = ""
    """An engine of ours, whose net to begin with. Empty to begin with nothing."""
    steps: int = 160_000
    batch_size: int = 8
    crop: int = 256
    """Side of the square training crops in pixels, a multiple of 8."""
    learning_rate: float = 2e-4
    """Of Adam, at its highest: it rises from a quarter of it in a straight line, as in the authors'
    code (5e-4 * 0.1 * (1 + 3e-4 * step), for 10,000 steps), and then falls to a hundredth along
    half a cosine."""
    warm_up: int = 10_000
    """Steps in which the learning rate rises."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    net: StyTr2Config = field(default_factory=StyTr2Config)
    loss: StyTr2LossConfig = field(default_factory=StyTr2LossConfig)

    def as_json(self) -> str:
        return json.dumps({"family": FAMILY, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        if values.pop("family") != FAMILY:
            raise ValueError("it is of another family of nets")
        layers = {key: tuple(values["loss"][key]) for key in ("content_layers", "style_layers")}
        values["loss"] = StyTr2LossConfig(**(values["loss"] | layers))
        values["net"] = StyTr2Config(**values["net"])
        return cls(**values)

    def rate(self, step: int) -> float:
        """The learning rate of a step, as a part of the highest."""
        if step < self.warm_up:
            return FIRST_RATE + (1 - FIRST_RATE) * step / self.warm_up
        done = (step - self.warm_up) / max(1, self.steps - self.warm_up)
        return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


def train_stytr2(config: StyTr2TrainConfig, run: Path) -> StyTr2:
    """Train, or go on training, in the folder `run`; returns the net, in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` (step and loss terms) and `samples/STEP.png` (photos
    above, paintings at the left, and each photo painted in the style of each). Raises ExportError
    if it holds a training with another configuration.
    """
    if config.crop % PATCH:
        raise ExportError(f"crops for StyTr2 have a multiple of {PATCH} pixels, got {config.crop}")
    device = torch.device(config.device)
    torch.manual_seed(config.seed)
    dtype = fast_dtype(device)
    # channels_last serves bfloat16; in float32 on a CPU a step takes half as long again in it.
    layout = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
    net = StyTr2(config.net).to(device)
    net.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, config.rate)
    parts: dict[str, Stateful] = {"net": net, "optimizer": optimizer, "schedule": schedule}
    first_step = resume(run, config.as_json(), parts, device)
    if first_step == 0 and config.start_from:
        load_weights(net, Path(config.start_from))

    layers = (*config.loss.content_layers, *config.loss.style_layers)
    network = load_loss_network(config.loss.network, layers).to(device, dtype)
    network.to(memory_format=layout)  # type: ignore[call-overload]
    losses = StyTr2Loss(config.loss, network)
    samples = config.steps * config.batch_size
    crops = [
        # Of other seeds, so that a photo meets another painting each time.
        PhotoCrops(list_photos(Path(folder)), config.crop, samples, config.seed + number)
        for number, folder in enumerate((config.photos, config.pictures))
    ]
    batches = DataLoader(
        StackDataset(*crops),
        batch_size=config.batch_size,
        sampler=range(first_step * config.batch_size, samples),
    )
    previews = [torch.stack([each[samples + i] for i in range(SAMPLES)]) for each in crops]

    progress = tqdm(total=config.steps, initial=first_step, unit="step", desc=run.name)
    net.train()
    for step, batch in enumerate(one_ahead(batches), start=first_step + 1):
        content, style = (each.to(device, memory_format=layout) for each in batch)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            painted, repainted = _painted(net, content, style)
        terms = losses(painted.float(), repainted.float(), content, style)
        descend(terms, optimizer, schedule, MAX_GRADIENT_NORM)
        progress.update()
        if step % LOG_EVERY == 0:
            values = {name: term.item() for name, term in terms.items()}
            progress.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
            log(run, {"step": step, **values})
        if step % SAVE_EVERY == 0 or step == config.steps:
            save_checkpoint(run, config.as_json(), step, parts)
            _save_samples(run, step, net, *(each.to(device) for each in previews))
    progress.close()
    return net.eval()


def _painted(net: StyTr2, content: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
    """Each content in the style of its number, and `some_of_each` in their own; each picture is
    encoded once for both."""
    count, some = len(content), repainted_of_each(len(content))
    contents = net.content_of(torch.cat([content, style[-some:]]))
    styles = net.style_of(torch.cat([style, content[:some]]))
    again = range(count, count + some)
    of_content = [*range(count), *range(some), *again]
    of_style = [*range(count), *again, *range(count - some, count)]
    painted = net.decode(*(x[of_content] for x in contents), *(x[of_style] for x in styles))
    return painted[:count], painted[count:]


def load_trained_stytr2(checkpoint: Path) -> tuple[StyTr2, StyTr2TrainConfig, int]:
    """The net of a checkpoint, in evaluation mode, with its configuration and step."""
    state = read_checkpoint(checkpoint)
    try:
        config = StyTr2TrainConfig.from_json(state["config"])
        net = StyTr2(config.net)
        net.load_state_dict(state["net"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{checkpoint} is not of a StyTr2: {error}") from error
    return net.eval(), config, int(state["step"])


@torch.no_grad()
def _save_samples(run: Path, step: int, net: StyTr2, photos: Tensor, pictures: Tensor) -> None:
    net.eval()
    rows = [torch.cat([torch.ones_like(photos[:1]), photos])]
    for picture in pictures:
        rows.append(torch.cat([picture[None], net(photos, picture[None])]))
    net.train()
    sheet = torch.cat([torch.cat([*row], dim=-1) for row in rows], dim=-2)
    (run / "samples").mkdir(exist_ok=True)
    to_image(sheet).save(run / "samples" / f"{step:06d}.png")
