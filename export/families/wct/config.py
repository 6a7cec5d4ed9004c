"""What a training for WCT is told."""

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
