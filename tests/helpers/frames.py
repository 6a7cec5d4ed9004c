"""Frames to paint, style inputs, and the PSNR of two paintings."""

from pathlib import Path

import numpy as np
from PIL import Image

from engines import (
    NO_STYLE,
    STYLE_WEIGHTS,
    ZOO,
    Frames,
    Style,
    read_card,
    style_of,
    takes_pictures,
)

MODELS = sorted(ZOO.glob("*.onnx"))
"""All models that ship."""


def picture(height: int, width: int, batch: int = 1, seed: int = 0) -> Frames:
    """Return frames with smooth colors and edges, as in a photo."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(random.uniform(3, 25) * x + random.uniform(3, 25) * y) for _ in range(3)]
    image = np.stack(waves, axis=-1) * 90 + 128
    image[height // 3 : height // 2, width // 4 : width // 2] = random.integers(0, 256, 3)
    return np.repeat(image.astype(np.uint8)[None], batch, axis=0)


def inputs_for(path: Path, style: int = 0) -> Style:
    """Return inputs for one of the model's own styles, or for a picture if it takes pictures."""
    card = read_card(path)
    if takes_pictures(card):
        image = picture(64, 80, seed=10 + style)
        # A model early in its training takes over tones but hardly shapes, so the tones differ.
        return style_of(card, image // (1 + style) if card.style_tensors else image)
    sizes = len(card.strokes)
    rows = len(card.styles) * sizes
    row = style * sizes + sizes // 2  # of the usual stroke size
    return {STYLE_WEIGHTS: np.eye(rows, dtype=np.float32)[row]} if rows > 1 else NO_STYLE


def psnr(a: Frames, b: Frames) -> float:
    error = float(np.mean((a.astype(float) - b.astype(float)) ** 2))
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))


def grainy(path: Path, height: int, width: int) -> Frames:
    """Return a frame for the model `path`, with grain like a camera's.

    Without grain, whitening and normalization would amplify the little detail of smooth waves, and
    the rounding of half precision with it.
    """
    width, height = read_card(path).within(width, height)
    grain = np.random.default_rng(1).integers(-24, 25, (1, height, width, 3))
    return (picture(height, width) + grain).clip(0, 255).astype(np.uint8)


def spots(seed: int, size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Return a picture of large soft spots."""
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8)).resize(size)
