"""Settings of a training for WCT."""

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Self

import torch

from export.errors import ExportError
from export.families.wct.model import LEVELS

FAMILY = "wct"


@dataclass(frozen=True)
class WctConfig:
    """Training settings of the paper's section 3.1, with other `steps` and with `style_steps`."""

    photos: str
    """Folder of photographs to learn on."""
    pictures: str = field(default="", metadata={"option": False})
    """Folder of paintings; only `style_steps` need it."""
    start_from: str = ""
    """Engine of compact nets to start from, as far as it has the levels.

    Empty to start from random weights.
    """
    encoder: str = ""
    """VGG that encodes: torchvision's vgg19 or a safetensors file (export/common/vgg.py).

    Empty for compact nets, whose encoders learn with the decoders.
    """
    teachers: tuple[str, ...] = ("vgg19",)
    """Networks whose features a compact encoder learns to resemble, up to a linear map.

    Each level takes the first network that has it.
    """
    levels: tuple[str, ...] = LEVELS
    """Levels to make nets for."""
    learned: tuple[str, ...] = ()
    """Levels to train, some of `levels`; all of them if empty."""
    steps: int = 20000
    """Steps for all levels, one after the other, the shallowest first.

    Level n takes n times the steps of relu1_1 and begins with the weights of the level before. A
    decoder for a VGG extends the decoder of the shallower level. For OWN_SHARE of its steps, only
    the added layers learn, to make the shallower level's features from the deeper ones.
    """
    style_steps: int = 0
    """Further steps for all levels, shared in the same way, that teach decoders to paint styles.

    They learn from features that are colored by paintings, as WCT makes them.
    """
    batch_size: int = 4
    crop: int = 256
    """Side in pixels of the square training crops."""
    learning_rate: float = 1e-4
    """Highest learning rate of Adam.

    In each phase it rises for WARM_UP steps and falls to a hundredth along half a cosine.
    """
    feature_weight: float = 1.0
    """Lambda of equation 1; the paper's appendix says 1."""
    style_weight: float = 3.0
    """Weight of the style in `style_steps`, with a content weight of 1.

    The style loss at half the size has half of it.
    """
    network: tuple[str, ...] = field(default=("vgg19",), metadata={"repeated": True})
    """Loss networks of `style_steps`, given as in export/common/losses.py."""
    seed: int = 0
    device: str = "cuda" if torch.cuda.is_available() else "cpu"

    def __post_init__(self) -> None:
        if self.style_steps and not self.pictures:
            raise ExportError("--style-steps needs paintings; give a folder of --pictures")
        if self.start_from and self.encoder:
            raise ExportError(
                "--start-from works only for compact nets, which have no --encoder; drop one"
            )

    def as_json(self) -> str:
        return json.dumps({"family": FAMILY, **dataclasses.asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        values = json.loads(text)
        if values.pop("family") != FAMILY:
            raise ValueError("it belongs to another family of nets")
        tuples = {key: tuple(values[key]) for key in ("teachers", "levels", "learned", "network")}
        return cls(**values | tuples)
