"""The options that several commands share, and the parsers of their values."""

import argparse
import re
from dataclasses import replace
from fractions import Fraction

from engines import BACKENDS, DEFAULT_LEVELS, PRECISIONS, Engine, Placement
from streamstyle.errors import UserError
from streamstyle.media import deinterlace
from streamstyle.media.hwaccel import AUTO, DEVICES, OFF
from streamstyle.sources import Clip
from streamstyle.styles import (
    DEFAULT_STYLE,
    PICTURE_MODEL,
    StyleSpec,
    asked_for,
    open_engine,
    takes_levels,
)


def add_style(parser: "argparse._ActionsContainer", default: str = DEFAULT_STYLE) -> None:
    parser.add_argument(
        "--style",
        help="a name from `streamstyle styles`, MODEL:NAME, FILE.onnx or FILE.onnx:NAME; "
        f"mix several by A+B, or with weights by A=2+B (default {default})",
    )
    parser.add_argument(
        "--style-image",
        action="append",
        default=[],
        metavar="PICTURE[=WEIGHT]",
        help="paint in the style of a picture, with the model that --style names (default "
        f"{PICTURE_MODEL}); repeat it to mix several pictures",
    )
    add_transfer(parser)


def add_transfer(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--stroke", type=float, default=0.5, help="0 (fine) to 1 (large) (default %(default)s)"
    )
    numbers = ",".join(level[len("relu")] for level in DEFAULT_LEVELS)
    parser.add_argument(
        "--levels",
        type=parse_levels,
        default=DEFAULT_LEVELS,
        metavar="LEVELS",
        help="levels of a picture's style, only for wct: some of 5,4,3,2,1, from large shapes to "
        f"small ones; each costs a pass (default {numbers})",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        default=1.0,
        help="strength of a picture's style, only for wct, 0 to 1 (default %(default)s)",
    )


def style_asked_for(options: argparse.Namespace, default: str = DEFAULT_STYLE) -> StyleSpec:
    """Return the style that the options of `add_style` ask for."""
    return as_taken(asked_for(options.style, options.style_image, default), options)


def as_taken(style: StyleSpec, options: argparse.Namespace) -> StyleSpec:
    """Return `style` with the stroke, levels and alpha from the options of `add_transfer`."""
    return replace(style, stroke=options.stroke, levels=options.levels, alpha=options.alpha)


def add_look(parser: argparse.ArgumentParser) -> None:
    look = parser.add_argument_group("the look")
    add_style(look)
    look.add_argument("--strength", type=float, default=1.0, help="0 (original) to 1 (painting)")
    look.add_argument("--width", type=int, help="width at which the network works, in pixels")
    look.add_argument("--height", type=int, help="height at which the network works, in pixels")
    look.add_argument("--scale", type=float, help="network's size relative to input, such as 0.5")
    look.add_argument("--resize", action="store_true", help="keep the network's size in the output")
    look.add_argument("--side-by-side", action="store_true", help="put the original on the left")
    add_keep_colors(look)
    add_mask(parser)


def add_mask(parser: argparse.ArgumentParser) -> None:
    part = parser.add_argument_group("which part of the picture")
    part.add_argument(
        "--mask",
        metavar="FILE",
        help="paint only where this image or video is white, or what this .onnx file segments",
    )
    part.add_argument("--invert-mask", action="store_true", help="paint only outside the mask")
    part.add_argument("--elsewhere", metavar="STYLE", help="paint the rest in this style")


def add_steady(parser: "argparse._ActionsContainer", default: float) -> None:
    parser.add_argument(
        "--steady",
        type=float,
        default=default,
        help="0 (as painted) to 1 (steadiest) (default %(default)s)",
    )


def add_keep_colors(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--keep-colors", action="store_true", help="paint only light and dark; keep the colors"
    )


def add_decoding(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--tonemap", action="store_true", help="convert HDR to standard range")
    parser.add_argument(
        "--deinterlace",
        choices=deinterlace.MODES,
        default=deinterlace.AUTO,
        help="auto: make whole pictures of interlaced ones; off: paint their lines as they are",
    )
    parser.add_argument(
        "--hwaccel",
        default=OFF,
        metavar="DEVICE",
        help=f"device that decodes a file or an address: {', '.join((OFF, AUTO, *DEVICES))} "
        "(default %(default)s: the CPU)",
    )


def add_overwrite(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def add_engine(parser: argparse.ArgumentParser) -> None:
    engine = parser.add_argument_group("the engine")
    engine.add_argument("--engine", default="auto", choices=["auto", *BACKENDS])
    engine.add_argument(
        "--device", default="auto", help="such as cpu, cuda, gpu, or several: cuda:0,cuda:1"
    )
    engine.add_argument("--precision", default="auto", choices=["auto", *PRECISIONS])


def clip_of(
    options: argparse.Namespace, start: Fraction | None = None, duration: Fraction | None = None
) -> Clip:
    """Return the part from `start`, decoded as the options of `add_decoding` say."""
    return Clip(start, duration, options.tonemap, options.hwaccel, options.deinterlace)


def placement_of(options: argparse.Namespace) -> Placement:
    """Return where the options of `add_engine` place a network beside the one that paints.

    If they name several devices, it runs on the first.
    """
    return Placement(options.engine, options.device.split(",")[0], options.precision)


def parse_levels(text: str) -> tuple[str, ...]:
    """Parse levels, such as 4,1, into the names of features, relu4_1 and relu1_1."""
    if not re.fullmatch(r"[1-5](,[1-5])*", text):
        message = f"levels are some of 5,4,3,2,1, such as 4 or 5,4, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return tuple(f"relu{level}_1" for level in sorted(set(text.split(",")), reverse=True))


def parse_time(text: str) -> Fraction:
    """Parse a time, such as 1.5, 1:30 or 0:01:30.5, into seconds."""
    # Nine digits are more than any video needs, and fit into its timestamps.
    if not re.fullmatch(r"-?(\d{1,9}:){0,2}(\d{1,9}(\.\d*)?|\.\d+)", text):
        message = f"a time is seconds or H:MM:SS, such as 1.5 or 0:01:30, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds


def parse_size(text: str) -> tuple[int, int]:
    """Parse a size, such as 1280x720, into (width, height) in pixels."""
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError as error:
        message = f"a size is width x height, such as 1280x720, got {text!r}"
        raise argparse.ArgumentTypeError(message) from error
    return width, height


def open_style(style: StyleSpec, options: argparse.Namespace) -> Engine:
    """Open the engine for `style` where the options of `add_engine` say."""
    return open_engine(style, options.engine, options.device, options.precision)


def check_levels(*styles: StyleSpec) -> None:
    """Raise UserError if levels or alpha are given and no style uses them."""
    given = (styles[0].levels, styles[0].alpha)
    if given != (StyleSpec.levels, StyleSpec.alpha) and not any(map(takes_levels, styles)):
        raise UserError(
            f"--levels and --alpha are for {PICTURE_MODEL}, in the style of a picture; give one by "
            "--style-image, or leave them out"
        )
