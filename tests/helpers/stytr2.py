"""A small StyTr2 configuration and material to train it with."""

from pathlib import Path

import numpy as np
from PIL import Image

from export.families.stytr2.model import StyTr2Config
from tests.helpers.nets import write_training_material

TINY = StyTr2Config(
    width=32,
    heads=4,
    feed_forward=48,
    content_encoder_layers=1,
    style_encoder_layers=1,
    decoder_layers=2,
    decoder_width=16,
)

LAYERS = ("relu1_1", "relu2_1")

OPTIONS = (
    "train stytr2 --photos photos --pictures pictures --network network.safetensors --device cpu "
    "--content-layers relu2_1 --style-layers relu1_1,relu2_1 --steps 2 --batch-size 2 --crop 32 "
    "--width 16 --heads 2 --feed-forward 16 --content-encoder-layers 1 --style-encoder-layers 1 "
    "--decoder-layers 2 --decoder-width 8"
)


def write_material(folder: Path) -> None:
    """Write photos, two paintings of different colors, and a loss network."""
    write_training_material(folder)
    (folder / "pictures").mkdir()
    random = np.random.default_rng(1)
    for number, tint in enumerate(((1.0, 0.3, 0.1), (0.1, 0.4, 1.0))):
        pixels = random.integers(0, 256, (40, 50, 3)) * tint
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "pictures" / f"{number}.png")
