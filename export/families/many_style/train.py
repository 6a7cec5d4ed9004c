"""Train feed-forward nets: Johnson's for one style, and one net for many styles."""

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from engines import ModelCard, read_card
from export.common import training_loop
from export.common.checkpoint import Stateful, fast_dtype
from export.common.evaluation import JUDGED_LAYERS, JUDGED_SIDE, Judge, Scores
from export.common.losses import LossConfig, PerceptualLoss, Statistics, chosen, joined
from export.common.sheets import Sheet, center_crops
from export.common.training_loop import LoopConfig, run_training
from export.common.vgg import load_loss_network, load_loss_networks
from export.data.clips import ClipPairs, Pair
from export.data.motion import Motion, SyntheticMotion, temporal_loss
from export.data.photos import Crops, list_photos, load_picture, prefetch, spread
from export.data.style_table import StylePicture
from export.errors import ExportError
from export.families.any_picture.model import AnyPicture, AnyPictureConfig
from export.families.johnson.model import Johnson, JohnsonConfig
from export.families.many_style.model import ManyStyle, ManyStyleConfig
from export.families.many_style.style_shares import StyleShares

STYLES_RATE = 5.0
"""Factor on the learning rate for the scales and shifts of styles.

Each style is in few batches, and has to move away from 1 and 0, where all styles begin alike.
"""

FLAT = 0.005
"""Standard deviation, for colors in 0..1, below which a picture counts as one color."""

SAMPLES = 4
"""Photographs on a sample sheet."""

SAMPLE_SIDE = 256
"""Side in pixels at which the photographs of a sample sheet are painted."""

EVALUATED = 6
"""Photographs that the judge scores in each style."""


FAMILIES: dict[str, type[JohnsonConfig] | type[ManyStyleConfig]] = {
    "johnson": JohnsonConfig,
    "many-style": ManyStyleConfig,
    "any-picture": AnyPictureConfig,
}


def net_config(card: ModelCard) -> JohnsonConfig | ManyStyleConfig:
    """Return the configuration of the net in an engine file, from the file's card."""
    sizes = card.training.get("net", {})
    sizes = {key.replace("normalis", "normaliz"): value for key, value in sizes.items()}
    if card.family == "many-style":  # files that name no dilation were trained with 1
        return ManyStyleConfig(**{"dilation": 1, **sizes})
    return FAMILIES[card.family](**sizes)


@dataclass(frozen=True)
class TrainConfig(LoopConfig):
    """Training settings of nets with learned styles."""

    styles: tuple[StylePicture, ...]
    """Styles to learn; exactly one for a Johnson net."""
    photos: str
    """Folder of photographs to learn on."""
    strokes: tuple[float, ...] = (1.0,)
    """Stroke sizes to learn, from small to large, as factors of the size in the style table.

    The middle one is used twice as often (Jing et al. 2018).
    """
    style_warm_up: int = 300
    """Steps over which the style weight grows from zero.

    The net first learns to keep the photograph; once it has learned to paint over it, it finds it
    again only slowly.
    """
    temporal_weight: float = 0.0
    """Weight of the loss that asks for the same strokes after a small motion.

    The moved photo also has noise and other light (export/data/motion.py).
    """
    clips: str = ""
    """Folder of videos for the temporal loss; empty for none.

    Every other step then uses two consecutive frames of a video instead of a moved photo.
    """
    kept_rows: int | None = field(default=None, metadata={"option": False})
    """Number of style rows of `start_from` that stay as they are; None to learn everything.

    All weights that the styles share stay as well, and only the rows of `styles` are learned.
    """
    net: JohnsonConfig | ManyStyleConfig = field(default_factory=JohnsonConfig)
    loss: LossConfig = field(default_factory=LossConfig)

    @property
    def family(self) -> str:
        return next(name for name, kind in FAMILIES.items() if type(self.net) is kind)

    def make_net(self) -> nn.Module:
        """Return the net with random weights."""
        rows = (self.kept_rows or 0) + len(self.styles) * len(self.strokes)
        if isinstance(self.net, AnyPictureConfig):
            return AnyPicture(self.net, rows)
        if isinstance(self.net, ManyStyleConfig):
            return ManyStyle(self.net, rows)
        return Johnson(self.net)

    def as_json(self) -> str:
        return json.dumps({"family": self.family, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        tuples = ("network", "content_layers", "style_layers")
        layers = {key: tuple(values["loss"][key]) for key in tuples}
        values["loss"] = LossConfig(**(values["loss"] | layers))
        values["net"] = FAMILIES[values.pop("family")](**values["net"])
        values["styles"] = tuple(StylePicture(**style) for style in values["styles"])
        values["strokes"] = tuple(values["strokes"])
        return cls(**values)


def train(config: TrainConfig, run: Path) -> nn.Module:
    """Train, or resume a training, in the folder `run`; return the net in evaluation mode.

    See `run_training` for what the folder holds. Raises ExportError if it holds a training with
    another configuration, or if something that the training needs can't be read.
    """
    torch.manual_seed(config.seed)
    family = FeedForward(config)
    return run_training(family, config, config.as_json(), run, family.begin_rows)


class Batch(NamedTuple):
    """The data of one training step."""

    number: int
    photos: Tensor
    """(N, 3, crop, crop), RGB, 0..1."""
    filmed: Pair | None
    """Video frames for half of the batch, or None."""


class FeedForward:
    """Training of nets that learn pictures' styles; see `export.common.training_loop.Family`."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self._kept = config.kept_rows or 0
        self.device = torch.device(config.device)
        self._dtype = fast_dtype(self.device)
        # channels_last speeds up bfloat16; in float32 on a CPU it makes a step 50% longer.
        in_float = self._dtype == torch.float32
        self._layout = torch.contiguous_format if in_float else torch.channels_last
        self.net = config.make_net().to(self.device)
        self.net.to(memory_format=self._layout)  # type: ignore[call-overload]
        rows = [(style, size) for style in config.styles for size in config.strokes]
        self._pictures = [_style_picture(*row) for row in rows]
        self._crops = Crops(list_photos(Path(config.photos)), config.crop, config.seed)
        self.shares = StyleShares(config.styles, config.strokes)
        self.state: Mapping[str, Stateful] = {"shares": self.shares}
        self._loss, self._targets = self._perceptual_loss()
        self._weights = torch.tensor([style.weight for style, _ in rows], device=self.device)

    @torch.no_grad()
    def begin_rows(self) -> None:
        """Set the rows of new styles from the net that the training starts from.

        A net for any picture predicts the row of each style picture. If the starting net knows one
        stroke size only, all stroke sizes of a style begin with its row.
        """
        if isinstance(self.net, AnyPicture):
            for row, picture in enumerate(self._pictures, start=self._kept):
                self.net.styles[row] = self.net.rows_of(picture.to(self.device))[0]
        elif isinstance(self.net, ManyStyle) and self.config.kept_rows is None:
            card = read_card(Path(self.config.start_from))
            if len(card.strokes) == 1 and len(card.styles) == len(self.config.styles):
                sizes = len(self.config.strokes)
                rows = self.net.styles[: len(card.styles)].repeat_interleave(sizes, dim=0)
                self.net.styles.copy_(rows)

    def parameter_groups(self) -> list[dict[str, Any]]:
        config = self.config
        if not isinstance(self.net, ManyStyle):
            return [{"params": list(self.net.parameters()), "lr": config.learning_rate}]
        styles = {"params": [self.net.styles], "lr": STYLES_RATE * config.learning_rate}
        if config.kept_rows is not None:
            self.net.styles.register_hook(  # type: ignore[no-untyped-call]
                partial(_only_from, config.kept_rows)
            )
            return [styles]
        shared = [p for p in self.net.parameters() if p is not self.net.styles]
        return [{"params": shared, "lr": config.learning_rate}, styles]

    def batches(self, first: int) -> Iterator[Batch]:
        config = self.config
        pairs = self._clip_pairs(first)
        for number, (photos,) in prefetch([self._crops], config.batch_size, first):
            filmed = next(pairs) if pairs is not None and number % 2 else None
            yield Batch(number, photos, filmed)

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        config = self.config
        # Seeded by the batch's number alone, so that a resumed training draws the same.
        chance = torch.Generator().manual_seed(config.seed * 1_000_003 + batch.number)
        drawn = self.shares.draw(len(batch.photos), chance)
        style = drawn.to(self.device)
        content = batch.photos.to(self.device, memory_format=self._layout)
        # Only half the batch has the temporal loss, which costs as much as all the rest.
        some = slice((config.batch_size + 1) // 2)
        if batch.filmed is not None:
            content[some] = batch.filmed.before.to(self.device)
        painted = self._painted(content, style)
        losses = self._loss(painted, content, chosen(self._targets, style), self._weights[style])
        self.shares.learn(drawn, losses.style_of_each.cpu())
        warm = min(1.0, step / max(1, config.style_warm_up))
        terms = {k: warm * v if "style" in k else v for k, v in losses.terms.items()}
        if config.temporal_weight:
            if batch.filmed is not None:
                motion = Motion(batch.filmed.grid, batch.filmed.inside)
                moved = batch.filmed.after.to(self.device)
            else:
                synthetic = SyntheticMotion(len(content[some]), config.crop, chance)
                motion, moved = synthetic, synthetic.filmed(content[some])
            after = self._painted(moved, style[some])
            terms["temporal"] = config.temporal_weight * temporal_loss(painted[some], after, motion)
        return terms

    @torch.no_grad()
    def sheet(self, net: nn.Module) -> Sheet:
        photos = self._previews.to(self.device)
        middle = self._middle_rows()
        columns = [_painted(net, photos, self._styles(photos, row)) for row in middle]
        return Sheet(photos, [self._pictures[row] for row in middle], columns)

    def scores(self, net: nn.Module) -> Scores | None:
        if self._judge is None:
            return None
        scores = {}
        for style, row in zip(self.config.styles, self._middle_rows(), strict=True):
            paint = self._painter(net, row)
            picture = load_picture(Path(style.picture), JUDGED_SIDE).to(self.device)
            scores[style.name] = self._judge.score(paint, picture)
        return scores

    def _painter(self, net: nn.Module, row: int) -> Callable[[Tensor], Tensor]:
        return lambda photo: _painted(net, photo, self._styles(photo, row))

    def _styles(self, photos: Tensor, row: int) -> Tensor:
        return photos.new_full([len(photos)], self._kept + row, dtype=torch.long)

    def _middle_rows(self) -> range:
        """Return the number of each style's row for the usual stroke size."""
        sizes = len(self.config.strokes)
        return range(sizes // 2, len(self._pictures), sizes)

    def _painted(self, content: Tensor, style: Tensor) -> Tensor:
        low = self._dtype != torch.float32
        with torch.autocast(self.device.type, dtype=self._dtype, enabled=low):
            return _painted(self.net, content, style + self._kept)

    def _perceptual_loss(self) -> tuple[PerceptualLoss, Statistics]:
        config = self.config.loss
        network = load_loss_networks(config.network, (*config.content_layers, *config.style_layers))
        # It is frozen, so all of it can be bfloat16: a third faster than under autocast.
        network = network.to(self.device, self._dtype)
        network.to(memory_format=self._layout)  # type: ignore[call-overload]
        loss = PerceptualLoss(config, network)
        return loss, joined([loss.statistics(rgb.to(self.device)) for rgb in self._pictures])

    @cached_property
    def _previews(self) -> Tensor:
        """Photographs on the sample sheets, (N, 3, side, side)."""
        if self.config.evaluate:
            unseen = list_photos(Path(self.config.evaluate))
            return center_crops([load_picture(p) for p in spread(unseen, SAMPLES)], SAMPLE_SIDE)
        return torch.stack([self._crops[number] for number in range(SAMPLES)])

    @cached_property
    def _judge(self) -> Judge | None:
        config = self.config
        if not config.judge:
            return None
        if not config.evaluate:
            raise ExportError("--judge needs photographs that were not trained on; give --evaluate")
        network = load_loss_network(config.judge, JUDGED_LAYERS).to(self.device, self._dtype)
        unseen = spread(list_photos(Path(config.evaluate)), EVALUATED)
        return Judge(network, [load_picture(p, JUDGED_SIDE).to(self.device) for p in unseen])

    def _clip_pairs(self, first: int) -> Iterator[Pair] | None:
        """Return pairs, half a batch at a time, for every other batch from number `first` on.

        Return None if the training uses no clips.
        """
        config = self.config
        if not config.clips or not config.temporal_weight:
            return None
        count = (config.batch_size + 1) // 2
        batches = config.steps * config.accumulate
        pairs = ClipPairs(Path(config.clips), config.crop, batches // 2 * count, config.seed)
        rest = range(first // 2 * count, len(pairs))
        return iter(DataLoader(pairs, batch_size=count, sampler=rest))


def load_trained(checkpoint: Path) -> tuple[nn.Module, TrainConfig, int]:
    """Load a net from a checkpoint; see `export.common.training_loop.load_trained`."""
    return training_loop.load_trained(checkpoint, TrainConfig.from_json, TrainConfig.make_net)


def _style_picture(style: StylePicture, size: float) -> Tensor:
    picture = load_picture(Path(style.picture), round(style.size * size))
    if picture.std(dim=(2, 3)).max() < FLAT:
        raise ExportError(
            f"{style.picture} has only one color and so no style to learn; give another picture"
        )
    return picture


def _painted(net: nn.Module, content: Tensor, style: Tensor) -> Tensor:
    """Paint `content` (N, 3, H, W) in the styles with the numbers `style`, (N,)."""
    if isinstance(net, ManyStyle):
        return net.paint(content, net.styles[style])
    painted: Tensor = net(content)
    return painted


def _only_from(row: int, gradient: Tensor) -> Tensor:
    """Return the gradient with zeros in the rows before `row`."""
    return torch.cat([torch.zeros_like(gradient[:row]), gradient[row:]])
