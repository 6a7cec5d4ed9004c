"""Training code that nets for the style of any picture share."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from export.common.checkpoint import Stateful, fast_dtype
from export.common.evaluation import JUDGED_LAYERS, JUDGED_SIDE, Judge, Scores
from export.common.sheets import Sheet, center_crops
from export.common.training_loop import LoopConfig
from export.common.vgg import (
    CombinedLossNetwork,
    LossNetwork,
    load_loss_network,
    load_loss_networks,
)
from export.data.photos import Crops, PaintingCrops, list_photos, load_picture, prefetch, spread
from export.errors import ExportError

SAMPLES = 4
"""Photographs on a sample sheet."""

SAMPLE_PICTURES = 8
"""Paintings on a sample sheet."""

SAMPLE_SIDE = 256
"""Side in pixels of the photographs and paintings on a sample sheet."""

EVALUATED = 3
"""Photographs that the judge scores in the style of each of SAMPLE_PICTURES paintings."""


@dataclass(frozen=True, kw_only=True)
class PictureConfig(LoopConfig):
    """Training settings of nets for the style of any picture."""

    photos: str
    """Folder of photographs to learn on."""
    pictures: str
    """Folder of paintings to learn on."""
    evaluate_pictures: str = ""
    """Folder of paintings, never trained on, for samples and evaluation.

    If it is empty, they use the paintings of the training.
    """

    family: ClassVar[str]
    """Name of the family, which a checkpoint holds."""

    def as_json(self) -> str:
        """Return the settings as JSON, for a checkpoint."""
        return json.dumps({"family": self.family, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the settings that `as_json` gave.

        Raises ValueError if they belong to another family.
        """
        values = json.loads(text)
        if values.pop("family") != cls.family:
            raise ValueError("it belongs to another family of nets")
        tuples = ("network", "content_layers", "style_layers")
        values["loss"] |= {key: tuple(values["loss"][key]) for key in tuples}
        for field in fields(cls):
            if field.name in ("net", "loss"):
                assert isinstance(field.type, type)
                values[field.name] = field.type(**values[field.name])
        return cls(**values)


class PictureFamily:
    """Data, samples and evaluation; subclasses add how to paint and the losses."""

    state: Mapping[str, Stateful] = {}

    def __init__(self, config: PictureConfig, net: nn.Module, picture_crop: int) -> None:
        """Load the data and prepare `net` for training on the device.

        `picture_crop` is the side in pixels of the crops of paintings.
        """
        self.config = config
        self.device = torch.device(config.device)
        self.dtype = fast_dtype(self.device)
        # channels_last speeds up bfloat16; in float32 on a CPU it makes a step 50% longer.
        in_float = self.dtype == torch.float32
        self.layout = torch.contiguous_format if in_float else torch.channels_last
        # Different seeds, so that a photo meets another painting each time.
        self._crops = (
            Crops(list_photos(Path(config.photos)), config.crop, config.seed),
            PaintingCrops(list_photos(Path(config.pictures)), picture_crop, config.seed + 1),
        )
        self.net = net.to(self.device)
        self.net.to(memory_format=self.layout)  # type: ignore[call-overload]

    def paint(self, net: nn.Module, photos: Tensor, picture: Tensor) -> Tensor:
        """Paint photographs (N, 3, H, W) in the style of one picture, (1, 3, h, w)."""
        raise NotImplementedError

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.net.parameters()), "lr": self.config.learning_rate}]

    def batches(self, first: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _, (content, style) in prefetch(self._crops, self.config.batch_size, first):
            yield (
                content.to(self.device, memory_format=self.layout),
                style.to(self.device, memory_format=self.layout),
            )

    @torch.no_grad()
    def sheet(self, net: nn.Module) -> Sheet:
        photos, pictures = (
            center_crops([load_picture(path) for path in paths], SAMPLE_SIDE).to(self.device)
            for paths in (spread(self._photos, SAMPLES), self._pictures)
        )
        single = [picture[None] for picture in pictures]
        return Sheet(photos, single, [self.paint(net, photos, each) for each in single])

    def scores(self, net: nn.Module) -> Scores | None:
        if self._judge is None:
            return None
        scores = {}
        for path in self._pictures:
            picture = load_picture(path, JUDGED_SIDE).to(self.device)
            scores[path.stem] = self._judge.score(self._painter(net, picture), picture)
        return scores

    def loss_network(
        self, sources: tuple[str, ...], layers: tuple[str, ...]
    ) -> LossNetwork | CombinedLossNetwork:
        """Return a frozen loss network for `layers`, wholly in the fast dtype.

        In bfloat16 as a whole it is a third faster than under autocast.
        """
        network = load_loss_networks(sources, layers).to(self.device, self.dtype)
        network.to(memory_format=self.layout)  # type: ignore[call-overload]
        return network

    def autocast(self) -> torch.autocast:
        """Return the autocast context for what the net computes in a training step."""
        low = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=low)

    def _painter(self, net: nn.Module, picture: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda photo: self.paint(net, photo, picture)

    @property
    def _photos(self) -> list[Path]:
        return list_photos(Path(self.config.evaluate or self.config.photos))

    @property
    def _pictures(self) -> list[Path]:
        paths = list_photos(Path(self.config.evaluate_pictures or self.config.pictures))
        return spread(paths, SAMPLE_PICTURES)

    @cached_property
    def _judge(self) -> Judge | None:
        config = self.config
        if not config.judge:
            return None
        if not config.evaluate or not config.evaluate_pictures:
            raise ExportError(
                "--judge needs photographs and paintings that were not trained on; "
                "give --evaluate and --evaluate-pictures"
            )
        network = load_loss_network(config.judge, JUDGED_LAYERS).to(self.device, self.dtype)
        photos = spread(self._photos, EVALUATED)
        return Judge(network, [load_picture(p, JUDGED_SIDE).to(self.device) for p in photos])
