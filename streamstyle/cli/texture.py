"""Textures: Li et al. 2017, section 4.4. Noise, painted again and again."""

from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from engines import MIN_SIDE, Engine
from streamstyle.errors import UserError
from streamstyle.sinks.atomic_file import check_target
from streamstyle.sinks.images import check_suffix, write_image


def write_texture(
    target: Path,
    engine: Engine,
    size: tuple[int, int],
    passes: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Write an image of `size`, (width, height), of what `engine`, which paints in a picture's
    style, makes of noise; another `seed` gives another image of the same texture.
    """
    check_suffix(target)
    check_target(target, overwrite)
    width, height = size
    if min(size) < MIN_SIDE:
        raise UserError(
            f"a texture has at least {MIN_SIDE}x{MIN_SIDE} pixels, got {width}x{height}"
        )
    if passes < 1:
        raise UserError(f"a texture takes at least one pass, got {passes}")
    noise = np.random.default_rng(seed).integers(0, 256, (1, height, width, 3), np.uint8)
    for _ in range(passes):
        engine.reset_state()
        noise = engine.paint(noise)
    write_image(Pillow.fromarray(noise[0]), target, overwrite)
