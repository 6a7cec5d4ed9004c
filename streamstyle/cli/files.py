"""The commands that paint files: `video`, `image` and `demo`."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from engines import Engine
from streamstyle.api import ImageSettings, Region, VideoSettings, paint_image, paint_video
from streamstyle.cli.options import (
    add_decoding,
    add_engine,
    add_look,
    add_overwrite,
    add_steady,
    add_style,
    as_taken,
    check_levels,
    clip_of,
    open_style,
    parse_time,
    placement_of,
    style_asked_for,
)
from streamstyle.cli.progress import ProgressBar, print_report
from streamstyle.errors import UserError
from streamstyle.painting.look import Look
from streamstyle.pipes import is_pipe
from streamstyle.sinks import Encoding
from streamstyle.sources.pattern import PATTERNS, PREFIX
from streamstyle.styles import StyleSpec, parse_style

DEMO_FILE = "streamstyle-demo.mp4"


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle video` to its parser."""
    parser.add_argument(
        "source",
        help=f"file, address, {PREFIX}NAME of {', '.join(PATTERNS)}, or - for standard input",
    )
    parser.add_argument(
        "target",
        help="video file to write, a folder for PNG images, or - for standard output (Matroska)",
    )
    add_look(parser)
    add_steady(parser, 0.0)
    part = parser.add_argument_group("the part to paint")
    part.add_argument("--start", type=parse_time, metavar="TIME", help="seconds or H:MM:SS")
    part.add_argument("--duration", type=parse_time, metavar="TIME", help="seconds or H:MM:SS")
    add_decoding(part)
    file = parser.add_argument_group("the file")
    file.add_argument(
        "--codec", help="h264, hevc, vp9, av1, gif, or an encoder of FFmpeg, such as h264_nvenc"
    )
    file.add_argument("--crf", type=int, help="constant rate factor; less is better and larger")
    file.add_argument("--preset", help="the encoder's preset, such as slow for h264")
    add_overwrite(file)
    add_engine(parser)


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle image` to its parser."""
    parser.add_argument("source", type=Path, help="image or folder")
    parser.add_argument("target", type=Path, help="image or folder to write")
    add_look(parser)
    parser.set_defaults(steady=0.0)  # only video is stabilized
    add_overwrite(parser)
    add_engine(parser)


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle demo` to its parser."""
    add_style(parser)
    parser.set_defaults(elsewhere=None)  # it has no mask
    add_overwrite(parser)
    add_engine(parser)


def video(options: argparse.Namespace) -> None:
    """Run `streamstyle video`."""
    with _engine(options) as engine, _region(options) as region, ProgressBar() as progress:
        report = paint_video(
            options.source,
            options.target,
            style=style_asked_for(options),
            engine=engine,
            on_progress=progress,
            settings=VideoSettings(
                look=_look(options),
                region=region,
                clip=clip_of(options, options.start, options.duration),
                encoding=Encoding(options.codec, options.crf, options.preset),
                overwrite=options.overwrite,
            ),
        )
    print_report(report, sys.stderr if is_pipe(options.target) else None)


def image(options: argparse.Namespace) -> None:
    """Run `streamstyle image`."""
    with _engine(options) as engine, _region(options) as region, ProgressBar() as progress:
        report = paint_image(
            options.source,
            options.target,
            style=style_asked_for(options),
            engine=engine,
            on_progress=progress,
            settings=ImageSettings(look=_look(options), region=region, overwrite=options.overwrite),
        )
    print_report(report)


def demo(options: argparse.Namespace) -> None:
    """Run `streamstyle demo`."""
    with _engine(options) as engine, ProgressBar() as progress:
        report = paint_video(
            f"{PREFIX}mandelbrot",
            DEMO_FILE,
            engine=engine,
            on_progress=progress,
            settings=VideoSettings(overwrite=options.overwrite),
        )
    print_report(report)


def _engine(options: argparse.Namespace) -> AbstractContextManager[Engine]:
    style, elsewhere = style_asked_for(options), _elsewhere(options)
    check_levels(style, *([] if elsewhere is None else [elsewhere]))
    return open_style(style, options)


def _elsewhere(options: argparse.Namespace) -> StyleSpec | None:
    """Return the style outside the mask, or None if none is asked for."""
    if options.elsewhere is None:
        return None
    return as_taken(parse_style(options.elsewhere), options)


@contextmanager
def _region(options: argparse.Namespace) -> Iterator[Region | None]:
    elsewhere = _elsewhere(options)
    if options.mask is None:
        if elsewhere is not None or options.invert_mask:
            raise UserError("--elsewhere and --invert-mask need a --mask")
        yield None
    elif elsewhere is None:
        yield Region(options.mask, options.invert_mask, placement=placement_of(options))
    else:
        with open_style(elsewhere, options) as engine:
            yield Region(
                options.mask, options.invert_mask, engine, elsewhere, placement_of(options)
            )


def _look(options: argparse.Namespace) -> Look:
    return Look(
        strength=options.strength,
        width=options.width,
        height=options.height,
        scale=options.scale,
        resize=options.resize,
        side_by_side=options.side_by_side,
        keep_colors=options.keep_colors,
        steady=options.steady,
    )
