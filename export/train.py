"""Training of a feed-forward net for one style picture."""

import csv
import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from export.engine_file import load_weights
from export.errors import ExportError
from export.loss_network import load_loss_network
from export.losses import LossConfig, PerceptualLoss
from export.models.johnson import Johnson, JohnsonConfig
from export.photos import PhotoCrops, list_photos, load_picture, to_image

LOG_EVERY = 25  # steps; often enough to see a divergence early
SAVE_EVERY = 250  # steps; what a power cut may cost
MAX_GRADIENT_NORM = 10.0
"""Usual ones are 10 to 50 and all directions are kept; a photo without structure, an empty sky,
gives thousands, and a few of them once led a training astray for good."""

SAMPLES = 4  # photos in a sample picture


@dataclass(frozen=True)
class TrainConfig:
    style: str
    """The style picture's path."""
    photos: str
    """The folder of photographs to learn on."""
    start_from: str = ""
    """An engine of ours, whose weights to begin with: half the steps do then, as most of painting
    is the same in every style. Empty to begin with nothing."""
    style_size: int = 512
    """Short side, in pixels, of the style picture: the larger, the larger the strokes."""
    steps: int = 4000
    batch_size: int = 4
    crop: int = 256
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-3
    """Of Adam; it falls to a hundredth along half a cosine."""
    style_warm_up: int = 500
    """Steps over which the style's weight grows from nothing: the net first learns to keep the
    picture, which it is slow to find again once it has learned to paint over it."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    net: JohnsonConfig = field(default_factory=JohnsonConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    def as_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        layers = {key: tuple(values["loss"][key]) for key in ("content_layers", "style_layers")}
        values["loss"] = LossConfig(**(values["loss"] | layers))
        values["net"] = JohnsonConfig(**values["net"])
        return cls(**values)


def train(config: TrainConfig, run: Path) -> Johnson:
    """Train, or go on training, in the folder `run`; returns the net, in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` (step and loss terms) and `samples/STEP.png` (photos
    above, painted below). Raises ExportError if it holds a training with another configuration.
    """
    device = torch.device(config.device)
    torch.manual_seed(config.seed)
    net = Johnson(config.net).to(device)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(net.parameters(), lr=config.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.01 + 0.99 * (1 + math.cos(math.pi * step / config.steps)) / 2
    )
    first_step = _resume(config, run, net, optimizer, schedule)
    if first_step == 0 and config.start_from:
        load_weights(net, Path(config.start_from))

    layers = (*config.loss.content_layers, *config.loss.style_layers)
    network = load_loss_network(config.loss.network, layers)
    # Frozen, so that it can be in bfloat16 as a whole: a third faster than under autocast.
    dtype = fast_dtype(device)
    network = network.to(device, dtype)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    style = load_picture(Path(config.style), config.style_size).to(device)
    perceptual_loss = PerceptualLoss(config.loss, network, style)
    photos = list_photos(Path(config.photos))
    crops = PhotoCrops(photos, config.crop, config.steps * config.batch_size, config.seed)
    batches = DataLoader(
        crops,
        batch_size=config.batch_size,
        sampler=range(first_step * config.batch_size, len(crops)),
        num_workers=1,  # one is ahead of the net even on two cores
    )
    previews = torch.stack([crops[len(crops) + i] for i in range(SAMPLES)]).to(device)

    progress = tqdm(total=config.steps, initial=first_step, unit="step", desc=run.name)
    net.train()
    for step, batch in enumerate(batches, start=first_step + 1):
        content = batch.to(device, memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            painted = net(content)
        terms = perceptual_loss(painted, content)
        terms["style"] = terms["style"] * min(1.0, step / config.style_warm_up)
        loss: Tensor = sum(terms.values(), torch.zeros((), device=device))
        if not torch.isfinite(loss):
            raise ExportError(
                f"the loss is {loss.item()} at step {step}; lower --learning-rate and start again"
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        progress.update()
        if step % LOG_EVERY == 0:
            values = {name: term.item() for name, term in terms.items()}
            progress.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
            _log(run / "log.csv", {"step": step, **values})
        if step % SAVE_EVERY == 0 or step == config.steps:
            _save(config, run, step, net, optimizer, schedule)
            _save_samples(run, step, net, previews)
    progress.close()
    net.eval()
    return net


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16, except on a CPU that has no instructions for it: there one step with VGG-19 took a
    minute instead of seconds."""
    capabilities = torch.cpu.get_capabilities()
    native = any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16", "bf16"))
    return torch.bfloat16 if device.type != "cpu" or native else torch.float32


def load_trained(checkpoint: Path) -> tuple[Johnson, TrainConfig, int]:
    """The net of a checkpoint, in evaluation mode, with its configuration and step."""
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        config = TrainConfig.from_json(state["config"])
        net = Johnson(config.net)
        net.load_state_dict(state["net"])
        net.eval()
        return net, config, int(state["step"])
    except (
        EOFError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        UnpicklingError,
        ValueError,
    ) as error:
        raise ExportError(f"{checkpoint} is not a checkpoint of this program: {error}") from error


def _resume(
    config: TrainConfig,
    run: Path,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> int:
    """Load the checkpoint in `run`, if any; returns the steps already done."""
    path = run / "checkpoint.pt"
    if not path.exists():
        return 0
    state = torch.load(path, map_location=config.device, weights_only=True)
    if state["config"] != config.as_json():
        raise ExportError(
            f"{run} holds a training with other settings; give another --run folder, or delete it"
        )
    net.load_state_dict(state["net"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    return int(state["step"])


def _save(
    config: TrainConfig,
    run: Path,
    step: int,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> None:
    run.mkdir(parents=True, exist_ok=True)
    partial = run / "checkpoint.partial"
    state = {
        "config": config.as_json(),
        "step": step,
        "net": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
    }
    torch.save(state, partial)
    partial.replace(run / "checkpoint.pt")  # never half a checkpoint, whenever the power fails


def _save_samples(run: Path, step: int, net: nn.Module, previews: Tensor) -> None:
    net.eval()
    with torch.no_grad():
        painted = net(previews)
    net.train()
    rows = torch.cat([torch.cat([*row], dim=-1) for row in (previews, painted)], dim=-2)
    (run / "samples").mkdir(exist_ok=True)
    to_image(rows).save(run / "samples" / f"{step:06d}.png")


def _log(path: Path, row: dict[str, float]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
