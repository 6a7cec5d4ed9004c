"""The options that several commands share, and what they are written as."""

import argparse
import re
from dataclasses import replace
from fractions import Fraction

from engines import BACKENDS, DEFAULT_LEVELS, PRECISIONS, Placement
from streamstyle.media.hwaccel import AUTO, DEVICES, OFF
from streamstyle.styles import DEFAULT_STYLE, PICTURE_MODEL, StyleSpec, asked_for


def add_style(parser: "argparse._ActionsContainer", default: str = DEFAULT_STYLE) -> None:
    parser.add_argument(
        "--style",
        help="a name from `streamstyle styles`, MODEL:NAME, FILE.onnx or FILE.onnx:NAME; "
        f"several as A+B or A=2+B, with weights (default {default})",
    )
    parser.add_argument(
        "--style-image",
        action="append",
        default=[],
        metavar="PICTURE[=WEIGHT]",
        help="paint in the style of a picture, or with several in a mix of them, by the model "
        f"that --style names (default {PICTURE_MODEL})",
    )
    add_transfer(parser)


def add_transfer(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--stroke", type=float, default=0.5, help="0 fine strokes ... 1 large (default %(default)s)"
    )
    numbers = ",".join(level[len("relu")] for level in DEFAULT_LEVELS)
    parser.add_argument(
        "--levels",
        type=levels_of,
        default=DEFAULT_LEVELS,
        metavar="LEVELS",
        help="of a picture's style, for wct: some of 5,4,3,2,1, from large shapes to small ones; "
        f"each costs a pass (default {numbers})",
    )
    parser.add_argument(
        "--alpha",
        type=float,
        default=1.0,
        help="how much of a picture's style, for wct, 0 to 1 (default %(default)s)",
    )


def style_asked_for(options: argparse.Namespace, default: str = DEFAULT_STYLE) -> StyleSpec:
    """What the options of `add_style` say."""
    return as_taken(asked_for(options.style, options.style_image, default), options)


def as_taken(style: StyleSpec, options: argparse.Namespace) -> StyleSpec:
    """A style as the options of `add_transfer` say."""
    return replace(style, stroke=options.stroke, levels=options.levels, alpha=options.alpha)


def add_look(parser: argparse.ArgumentParser) -> None:
    look = parser.add_argument_group("the look")
    add_style(look)
    look.add_argument("--strength", type=float, default=1.0, help="0 original ... 1 painting")
    look.add_argument("--width", type=int, help="at which the network works, in pixels")
    look.add_argument("--height", type=int, help="at which the network works, in pixels")
    look.add_argument("--scale", type=float, help="at which the network works, such as 0.5")
    look.add_argument("--resize", action="store_true", help="write that size, not the input's")
    look.add_argument("--side-by-side", action="store_true", help="the original on the left")
    add_keep_colors(look)
    add_mask(parser)


def add_mask(parser: argparse.ArgumentParser) -> None:
    part = parser.add_argument_group("which part of the picture")
    part.add_argument(
        "--mask",
        metavar="FILE",
        help="paint only where this image or video is white, or what this .onnx file segments",
    )
    part.add_argument("--invert-mask", action="store_true", help="paint everything else")
    part.add_argument("--elsewhere", metavar="STYLE", help="paint the rest in this style")


def add_steady(parser: "argparse._ActionsContainer", default: float) -> None:
    parser.add_argument(
        "--steady",
        type=float,
        default=default,
        help="0 as painted ... 1 steadiest (default %(default)s)",
    )


def add_keep_colors(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--keep-colors", action="store_true", help="only light and dark are painted"
    )


def add_hwaccel(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--hwaccel",
        default=OFF,
        metavar="DEVICE",
        help=f"what decodes a file or an address: {', '.join((OFF, AUTO, *DEVICES))} "
        "(default %(default)s: the processor)",
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


def placement_of(options: argparse.Namespace) -> Placement:
    """What the options of `add_engine` say of a network beside the one that paints: of several
    devices it takes the first.
    """
    return Placement(options.engine, options.device.split(",")[0], options.precision)


def levels_of(text: str) -> tuple[str, ...]:
    """4,1 as relu4_1 and relu1_1."""
    if not re.fullmatch(r"[1-5](,[1-5])*", text):
        message = f"levels are some of 5,4,3,2,1, such as 4 or 5,4, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return tuple(f"relu{level}_1" for level in sorted(set(text.split(",")), reverse=True))


def time_of(text: str) -> Fraction:
    """1.5, 1:30 or 0:01:30.5, in seconds."""
    # Nine digits are more than any video needs, and no more than its clock holds.
    if not re.fullmatch(r"-?(\d{1,9}:){0,2}(\d{1,9}(\.\d*)?|\.\d+)", text):
        message = f"a time is seconds or H:MM:SS, such as 1.5 or 0:01:30, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    seconds = Fraction(0)
    for part in text.split(":"):
        seconds = seconds * 60 + Fraction(part)
    return seconds


def size_of(text: str) -> tuple[int, int]:
    try:
        width, height = map(int, text.lower().split("x"))
    except ValueError as error:
        message = f"a size is width x height, such as 1280x720, got {text!r}"
        raise argparse.ArgumentTypeError(message) from error
    return width, height
