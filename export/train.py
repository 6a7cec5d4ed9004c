"""Training of feed-forward nets: Johnson's for one style, and one net for many."""

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
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
from export.clips import ClipPairs, Pair
from export.engine_file import load_weights
from export.errors import ExportError
from export.loss_network import load_loss_network
from export.losses import LossConfig, PerceptualLoss
from export.models.johnson import Johnson, JohnsonConfig
from export.models.many_style import ManyStyle, ManyStyleConfig
from export.photos import PhotoCrops, list_photos, load_picture, one_ahead, to_image
from export.styles import StylePicture
from export.temporal import MadeMotion, Motion, temporal_loss

LOG_EVERY = 25  # steps; often enough to see a divergence early
SAVE_EVERY = 250  # steps; what a power cut may cost
MAX_GRADIENT_NORM = 10.0
"""Usual ones are 10 to 50 and all directions are kept; a photo without structure, an empty sky,
gives thousands, and a few of them once led a training astray for good."""

STYLES_RATE = 5.0
"""Times the learning rate, for the scales and shifts of many styles: each style is in few batches,
and has to leave the place near 1 and 0 where all begin alike."""

FLAT = 0.005
"""Standard deviation of colors 0..1, below which a picture is of one color."""

SAMPLES = 4  # photos in a sample picture


FAMILIES: dict[str, type[JohnsonConfig] | type[ManyStyleConfig]] = {
    "johnson": JohnsonConfig,
    "many-style": ManyStyleConfig,
}


@dataclass(frozen=True)
class TrainConfig:
    styles: tuple[StylePicture, ...]
    """One for a Johnson net."""
    photos: str
    """The folder of photographs to learn on."""
    start_from: str = ""
    """An engine of ours, whose weights to begin with: half the steps do then, as most of painting
    is the same in every style. Empty to begin with nothing."""
    steps: int = 4000
    batch_size: int = 4
    crop: int = 256
    """Side of the square training crops in pixels."""
    learning_rate: float = 1e-3
    """Of Adam; it falls to a hundredth along half a cosine."""
    style_warm_up: int = 500
    """Steps over which the style's weight grows from nothing: the net first learns to keep the
    picture, which it is slow to find again once it has learned to paint over it."""
    temporal_weight: float = 0.0
    """Of the loss that asks for the same strokes after a small motion, with noise and in other
    light (export/temporal.py)."""
    clips: str = ""
    """A folder of videos; every other step then asks for the same strokes on two consecutive frames
    of one of them, instead of on a photo that is moved."""
    kept_styles: int = field(default=0, metadata={"option": False})
    """Styles that `start_from` paints in already. If there are any, they and all that the styles
    share stay as they are, and only the scales and shifts of `styles` are learned."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"
    net: JohnsonConfig | ManyStyleConfig = field(default_factory=JohnsonConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    @property
    def family(self) -> str:
        return next(name for name, kind in FAMILIES.items() if isinstance(self.net, kind))

    def make_net(self) -> nn.Module:
        if isinstance(self.net, ManyStyleConfig):
            return ManyStyle(self.net, self.kept_styles + len(self.styles))
        return Johnson(self.net)

    def as_json(self) -> str:
        return json.dumps({"family": self.family, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        layers = {key: tuple(values["loss"][key]) for key in ("content_layers", "style_layers")}
        values["loss"] = LossConfig(**(values["loss"] | layers))
        values["net"] = FAMILIES[values.pop("family")](**values["net"])
        values["styles"] = tuple(StylePicture(**style) for style in values["styles"])
        return cls(**values)


def train(config: TrainConfig, run: Path) -> nn.Module:
    """Train, or go on training, in the folder `run`; returns the net, in evaluation mode.

    The folder holds `checkpoint.pt`, `log.csv` (step and loss terms) and `samples/STEP.png` (photos
    above, painted in each style below). Raises ExportError if it holds a training with another
    configuration.
    """
    device = torch.device(config.device)
    torch.manual_seed(config.seed)
    dtype = fast_dtype(device)
    # channels_last serves bfloat16; in float32 on a CPU a step takes half as long again in it.
    layout = torch.contiguous_format if dtype == torch.float32 else torch.channels_last
    net = config.make_net().to(device)
    net.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(_learned(net, config))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.01 + 0.99 * (1 + math.cos(math.pi * step / config.steps)) / 2
    )
    parts: dict[str, Stateful] = {"net": net, "optimizer": optimizer, "schedule": schedule}
    first_step = resume(run, config.as_json(), parts, device)
    if first_step == 0 and config.start_from:
        load_weights(net, Path(config.start_from))

    perceptual_loss = _perceptual_loss(config, device, dtype, layout)
    photos = list_photos(Path(config.photos))
    crops = PhotoCrops(photos, config.crop, config.steps * config.batch_size, config.seed)
    batches = DataLoader(
        crops,
        batch_size=config.batch_size,
        sampler=range(first_step * config.batch_size, len(crops)),
    )
    # Half the batch has to be steady: it is as costly as all the rest, and strokes need more steps.
    some = slice((config.batch_size + 1) // 2)
    pairs = _clip_pairs(config, first_step, some.stop)
    previews = torch.stack([crops[len(crops) + i] for i in range(SAMPLES)]).to(device)

    shares = torch.tensor([style.share for style in config.styles])
    progress = tqdm(total=config.steps, initial=first_step, unit="step", desc=run.name)
    net.train()
    for step, batch in enumerate(one_ahead(batches), start=first_step + 1):
        # By the step alone, so that a training that resumes sees what it would have seen.
        chance = torch.Generator().manual_seed(config.seed * 1_000_003 + step)
        style = torch.multinomial(shares, len(batch), replacement=True, generator=chance).to(device)
        content = batch.to(device, memory_format=layout)
        filmed = next(pairs) if pairs is not None and step % 2 == 0 else None
        if filmed is not None:
            content[some] = filmed.before.to(device)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            painted = _painted(net, content, style + config.kept_styles)
        terms = perceptual_loss(painted, content, style)
        terms["style"] = terms["style"] * min(1.0, step / config.style_warm_up)
        if config.temporal_weight:
            if filmed is not None:
                motion = Motion(filmed.grid, filmed.inside)
                moved = filmed.after.to(device)
            else:
                made = MadeMotion(len(batch[some]), config.crop, chance)
                motion, moved = made, made.filmed(content[some])
            with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
                after = _painted(net, moved, style[some] + config.kept_styles)
            terms["temporal"] = config.temporal_weight * temporal_loss(painted[some], after, motion)
        descend(terms, optimizer, schedule, MAX_GRADIENT_NORM)
        progress.update()
        if step % LOG_EVERY == 0:
            values = {name: term.item() for name, term in terms.items()}
            progress.set_postfix({name: f"{value:.3f}" for name, value in values.items()})
            log(run, {"step": step, **values})
        if step % SAVE_EVERY == 0 or step == config.steps:
            save_checkpoint(run, config.as_json(), step, parts)
            _save_samples(run, step, net, previews, config)
    progress.close()
    net.eval()
    return net


def _clip_pairs(config: TrainConfig, first_step: int, count: int) -> Iterator[Pair] | None:
    """For every other step from `first_step` on, `count` at a time."""
    if not config.clips or not config.temporal_weight:
        return None
    pairs = ClipPairs(Path(config.clips), config.crop, config.steps // 2 * count, config.seed)
    rest = range(first_step // 2 * count, len(pairs))
    return iter(DataLoader(pairs, batch_size=count, sampler=rest))


def _learned(net: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Groups of parameters for the optimizer."""
    if not isinstance(net, ManyStyle):
        return [{"params": list(net.parameters()), "lr": config.learning_rate}]
    styles = {"params": [net.styles], "lr": STYLES_RATE * config.learning_rate}
    if config.kept_styles:
        net.styles.register_hook(  # type: ignore[no-untyped-call]
            partial(_only_from, config.kept_styles)
        )
        return [styles]
    shared = [parameter for parameter in net.parameters() if parameter is not net.styles]
    return [{"params": shared, "lr": config.learning_rate}, styles]


def _style_picture(style: StylePicture) -> Tensor:
    picture = load_picture(Path(style.picture), style.size)
    if picture.std(dim=(2, 3)).max() < FLAT:
        raise ExportError(f"{style.picture} is of one color: there is no style to learn from it")
    return picture


def _only_from(row: int, gradient: Tensor) -> Tensor:
    """The gradient without that of the rows before `row`."""
    return torch.cat([torch.zeros_like(gradient[:row]), gradient[row:]])


def _painted(net: nn.Module, content: Tensor, style: Tensor) -> Tensor:
    """`content` (N, 3, H, W) in the styles of the numbers `style`, (N,)."""
    painted: Tensor
    if isinstance(net, ManyStyle):
        weights = nn.functional.one_hot(style, len(net.styles)).to(content.dtype)
        painted = net(content, weights)
    else:
        painted = net(content)
    return painted


def _perceptual_loss(
    config: TrainConfig, device: torch.device, dtype: torch.dtype, layout: torch.memory_format
) -> PerceptualLoss:
    layers = (*config.loss.content_layers, *config.loss.style_layers)
    network = load_loss_network(config.loss.network, layers)
    # Frozen, so that it can be in bfloat16 as a whole: a third faster than under autocast.
    network = network.to(device, dtype)
    network.to(memory_format=layout)  # type: ignore[call-overload]
    pictures = [_style_picture(style).to(device) for style in config.styles]
    weights = torch.tensor([style.weight for style in config.styles], device=device)
    return PerceptualLoss(config.loss, network, pictures, weights)


def load_trained(checkpoint: Path) -> tuple[nn.Module, TrainConfig, int]:
    """The net of a checkpoint, in evaluation mode, with its configuration and step."""
    state = read_checkpoint(checkpoint)
    try:
        config = TrainConfig.from_json(state["config"])
        net = config.make_net()
        net.load_state_dict(state["net"])
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise ExportError(f"{checkpoint} is not of a net of this family: {error}") from error
    net.eval()
    return net, config, int(state["step"])


def _save_samples(
    run: Path, step: int, net: nn.Module, previews: Tensor, config: TrainConfig
) -> None:
    net.eval()
    rows = [previews]
    with torch.no_grad():
        for style in range(config.kept_styles, config.kept_styles + len(config.styles)):
            rows.append(_painted(net, previews, previews.new_full([len(previews)], style).long()))
    net.train()
    sheet = torch.cat([torch.cat([*row], dim=-1) for row in rows], dim=-2)
    (run / "samples").mkdir(exist_ok=True)
    to_image(sheet).save(run / "samples" / f"{step:06d}.png")
