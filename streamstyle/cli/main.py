"""The command line."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import version
from io import TextIOWrapper
from pathlib import Path
from types import FrameType

from engines import (
    Engine,
    EngineError,
    read_card,
    takes_pictures,
)
from streamstyle.api import Region, paint_image, paint_video
from streamstyle.cli.bench import bench
from streamstyle.cli.contact_sheet import write_sheet
from streamstyle.cli.doctor import examine, forget_plans
from streamstyle.cli.live import add_live_options, list_cameras, live
from streamstyle.cli.options import (
    add_engine,
    add_hwaccel,
    add_look,
    add_overwrite,
    add_steady,
    add_style,
    add_transfer,
    as_taken,
    placement_of,
    size_of,
    style_asked_for,
    time_of,
)
from streamstyle.cli.progress import ProgressBar, print_report
from streamstyle.cli.texture import write_texture
from streamstyle.errors import UserError, reason
from streamstyle.painting.look import Look
from streamstyle.sinks import Encoding
from streamstyle.sinks.atomic_file import check_not_input
from streamstyle.sources import Clip
from streamstyle.sources.pattern import PATTERNS, PREFIX
from streamstyle.styles import (
    CLASSIC_STYLE,
    DEFAULT_MODEL,
    PICTURE_MODEL,
    StyleSpec,
    asked_for,
    card_of,
    find_style,
    open_engine,
    parse_style,
    shipped_models,
    takes_levels,
)

DEMO_FILE = "streamstyle-demo.mp4"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 2 for bad input, 130 for Ctrl-C, 141 if nobody
    reads the output any more.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # As standard error has it: names of files may be no text.
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except (UserError, EngineError) as error:
        _complain(f"streamstyle: {error}", error)
        return 2
    except KeyboardInterrupt as error:
        _complain("streamstyle: stopped", error)
        return 130
    except BrokenPipeError:
        # As in `| head -1`. Python would complain again when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        # Whatever the system refuses: folders that may not be read, names that are too long.
        what = f"cannot read or write {error.filename}: " if error.filename else ""
        _complain(f"streamstyle: {what}{reason(error)}", error)
        return 2
    finally:
        signal.signal(signal.SIGTERM, before)
    return 0


def _complain(message: str, error: BaseException) -> None:
    print("; ".join([message, *getattr(error, "__notes__", [])]), file=sys.stderr)


def _as_ctrl_c(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _video(options: argparse.Namespace) -> None:
    with _engine(options) as engine, _region(options) as region, ProgressBar() as progress:
        report = paint_video(
            options.source,
            options.target,
            style=style_asked_for(options),
            engine=engine,
            look=_look(options),
            region=region,
            clip=Clip(options.start, options.duration, options.tonemap, options.hwaccel),
            encoding=Encoding(options.codec, options.crf, options.preset),
            overwrite=options.overwrite,
            on_progress=progress,
        )
    print_report(report)


def _image(options: argparse.Namespace) -> None:
    with _engine(options) as engine, _region(options) as region, ProgressBar() as progress:
        report = paint_image(
            options.source,
            options.target,
            style=style_asked_for(options),
            engine=engine,
            look=_look(options),
            region=region,
            overwrite=options.overwrite,
            on_progress=progress,
        )
    print_report(report)


def _texture(options: argparse.Namespace) -> None:
    asked = asked_for(options.model, [str(picture) for picture in options.pictures])
    style = as_taken(asked, options)
    check_not_input(options.target, *style.pictures)
    with _open(style, options) as engine:
        write_texture(
            options.target, engine, options.size, options.passes, options.seed, options.overwrite
        )
    print(f"wrote {options.target}")


def _demo(options: argparse.Namespace) -> None:
    with _engine(options) as engine, ProgressBar() as progress:
        report = paint_video(
            f"{PREFIX}mandelbrot",
            DEMO_FILE,
            engine=engine,
            overwrite=options.overwrite,
            on_progress=progress,
        )
    print_report(report)


def _styles(options: argparse.Namespace) -> None:
    if options.style is not None:
        _print_card(options.style)
        return
    for style in card_of(DEFAULT_MODEL).styles:
        print(f"{style.name:22}{style.title}, {style.artist}, {style.year} ({style.licence})")
    others = [
        f"{name}:{'PICTURE' if takes_pictures(read_card(path)) else 'NAME'}"
        for name, path in shipped_models().items()
        if name != DEFAULT_MODEL
    ]
    print(f"These are painted by the model {DEFAULT_MODEL}; there is also {', '.join(others)}.")
    if options.sheet is not None:
        write_sheet(options.sheet, options.photo, options.overwrite)
        print(f"wrote {options.sheet}")


def _print_card(style: str) -> None:
    part = parse_style(style).parts[0]
    card, number = find_style(part)
    shown = [card.styles[number]] if part.name else list(card.styles)
    for one in shown:
        print(f"{one.name}: {one.title}, {one.artist}, {one.year} ({one.licence})")
    print(f"model: {card.path.name}, {card.family}, sha256 {card.sha256}")
    of_style = card.measured.get("styles", {}).get(shown[0].name, {}) if shown else {}
    measured = {**card.measured, **of_style}
    measured.pop("styles", None)
    for title, values in (
        ("training", card.training),
        ("verification", card.verification),
        ("measured", measured),
    ):
        print(f"{title}:" if values else f"{title}: nothing")
        for key, value in values.items():
            for line in value if key == "commands" else [value]:
                print(f"  {key}: {line}")


def _doctor(options: argparse.Namespace) -> None:
    for line in [forget_plans()] if options.forget_plans else examine():
        print(line)


def _bench(options: argparse.Namespace) -> None:
    style = style_asked_for(options, CLASSIC_STYLE)
    _check_levels(style)
    bench(style, options.size, options.seconds)


def _engine(options: argparse.Namespace) -> AbstractContextManager[Engine]:
    style, elsewhere = style_asked_for(options), _elsewhere(options)
    _check_levels(style, *([] if elsewhere is None else [elsewhere]))
    return _open(style, options)


def _elsewhere(options: argparse.Namespace) -> StyleSpec | None:
    """The style outside of the mask, if one is asked for."""
    if options.elsewhere is None:
        return None
    return as_taken(parse_style(options.elsewhere), options)


def _check_levels(*styles: StyleSpec) -> None:
    given = (styles[0].levels, styles[0].alpha)
    if given != (StyleSpec.levels, StyleSpec.alpha) and not any(map(takes_levels, styles)):
        raise UserError(
            f"--levels and --alpha are for {PICTURE_MODEL}, in the style of a picture; give one by "
            "--style-image, or leave them out"
        )


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
        with _open(elsewhere, options) as engine:
            yield Region(
                options.mask, options.invert_mask, engine, elsewhere, placement_of(options)
            )


def _open(style: StyleSpec, options: argparse.Namespace) -> Engine:
    return open_engine(style, options.engine, options.device, options.precision)


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


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamstyle", description="Paint video in the style of a picture, in real time."
    )
    parser.add_argument("--version", action="version", version=version("streamstyle"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    video = _command(commands, "video", _video, "paint a video file, an address or a pattern")
    video.add_argument("source", help=f"file, address, or {PREFIX}NAME of {', '.join(PATTERNS)}")
    video.add_argument("target", help="video file to write, or a folder for PNG images")
    add_look(video)
    add_steady(video, 0.0)
    part = video.add_argument_group("the part to paint")
    part.add_argument("--start", type=time_of, metavar="TIME", help="seconds or H:MM:SS")
    part.add_argument("--duration", type=time_of, metavar="TIME", help="seconds or H:MM:SS")
    part.add_argument("--tonemap", action="store_true", help="take HDR, into standard range")
    add_hwaccel(part)
    file = video.add_argument_group("the file")
    file.add_argument(
        "--codec", help="h264, hevc, vp9, av1, gif, or an encoder of FFmpeg, such as h264_nvenc"
    )
    file.add_argument("--crf", type=int, help="constant rate factor: smaller is better, larger")
    file.add_argument("--preset", help="the encoder's preset, such as slow for h264")
    add_overwrite(file)
    add_engine(video)

    image = _command(commands, "image", _image, "paint an image, or all images of a folder")
    image.add_argument("source", type=Path, help="image or folder")
    image.add_argument("target", type=Path, help="image or folder to write")
    add_look(image)
    image.set_defaults(steady=0.0)  # of video
    add_overwrite(image)
    add_engine(image)

    texture = _command(commands, "texture", _texture, "make a texture of the style of a picture")
    texture.add_argument("pictures", type=Path, nargs="+", metavar="picture")
    texture.add_argument("-o", "--target", type=Path, required=True, help="image to write")
    texture.add_argument("--size", type=size_of, default=(512, 512), help="such as 512x512")
    texture.add_argument("--model", help=f"of the family wct (default {PICTURE_MODEL})")
    add_transfer(texture)
    texture.add_argument(
        "--passes", type=int, default=3, help="how often to paint it (default %(default)s)"
    )
    texture.add_argument("--seed", type=int, default=0, help="of the noise that it begins with")
    add_overwrite(texture)
    add_engine(texture)

    window = _command(commands, "live", live, "paint a camera, stream or screen as it comes")
    add_live_options(window)

    _command(commands, "cameras", lambda _options: list_cameras(), "list the cameras")

    demo = _command(commands, "demo", _demo, f"paint a moving pattern into {DEMO_FILE}")
    add_style(demo)
    demo.set_defaults(elsewhere=None)  # it has no mask
    add_overwrite(demo)
    add_engine(demo)

    styles = _command(commands, "styles", _styles, "list the styles, or one style's card")
    styles.add_argument("style", nargs="?", help="a style as for --style")
    styles.add_argument("--sheet", type=Path, help="write a picture of all styles here")
    styles.add_argument("--photo", type=Path, nargs="+", default=[], help="what to paint in it")
    add_overwrite(styles)

    doctor = _command(commands, "doctor", _doctor, "say what runs here, what does not, and the fix")
    doctor.add_argument(
        "--forget-plans", action="store_true", help="only delete what TensorRT has built for models"
    )

    timing = _command(commands, "bench", _bench, "measure frames per second on this machine")
    add_style(timing, CLASSIC_STYLE)
    timing.add_argument("--size", type=size_of, default=(640, 480), help="such as 1280x720")
    timing.add_argument("--seconds", type=float, default=5.0, help="for each engine")
    return parser


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    function: Callable[[argparse.Namespace], None],
    text: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.set_defaults(command=function)
    return parser
