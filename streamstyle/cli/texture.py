"""Textures made by painting noise repeatedly, as in section 4.4 of Li et al. 2017."""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from engines import MIN_SIDE, Engine
from streamstyle.cli.options import (
    add_engine,
    add_overwrite,
    add_transfer,
    as_taken,
    open_style,
    parse_size,
)
from streamstyle.errors import UserError
from streamstyle.sinks.atomic_file import check_not_input, check_target
from streamstyle.sinks.images import check_suffix, write_image
from streamstyle.styles import PICTURE_MODEL, asked_for


def add_texture_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle texture` to its parser."""
    parser.add_argument("pictures", type=Path, nargs="+", metavar="picture")
    parser.add_argument("-o", "--target", type=Path, required=True, help="image to write")
    parser.add_argument("--size", type=parse_size, default=(512, 512), help="such as 512x512")
    parser.add_argument("--model", help=f"model of the family wct (default {PICTURE_MODEL})")
    add_transfer(parser)
    parser.add_argument(
        "--passes", type=int, default=3, help="how often to paint it (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the noise at the start")
    add_overwrite(parser)
    add_engine(parser)


def texture(options: argparse.Namespace) -> None:
    """Run `streamstyle texture`."""
    asked = asked_for(options.model, [str(picture) for picture in options.pictures])
    style = as_taken(asked, options)
    check_not_input(options.target, *style.pictures)
    with open_style(style, options) as engine:
        write_texture(
            options.target, engine, options.size, options.passes, options.seed, options.overwrite
        )
    print(f"wrote {options.target}")


def write_texture(
    target: Path,
    engine: Engine,
    size: tuple[int, int],
    passes: int,
    seed: int,
    overwrite: bool,
) -> None:
    """Write a texture: noise that `engine` has painted `passes` times in a picture's style.

    `size` is (width, height) in pixels. Another `seed` gives another image of the same texture.
    Raises UserError if the size or `passes` is too small, or if the target can't be written.
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
