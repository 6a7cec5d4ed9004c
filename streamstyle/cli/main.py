"""The command line."""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import version
from io import TextIOWrapper
from types import FrameType

from engines import EngineError
from streamstyle.cli import files, styles
from streamstyle.cli.bench import add_bench_options, bench
from streamstyle.cli.doctor import add_doctor_options, doctor
from streamstyle.cli.live import add_live_options, list_cameras, live
from streamstyle.cli.texture import add_texture_options, texture
from streamstyle.errors import UserError, reason

Command = Callable[[argparse.Namespace], None]
AddOptions = Callable[[argparse.ArgumentParser], object]

_COMMANDS: tuple[tuple[str, Command, AddOptions, str], ...] = (
    (
        "video",
        files.video,
        files.add_video_options,
        "paint a video file, an address or a pattern",
    ),
    (
        "image",
        files.image,
        files.add_image_options,
        "paint an image, or all images of a folder",
    ),
    ("texture", texture, add_texture_options, "make a texture of the style of a picture"),
    ("live", live, add_live_options, "paint a camera, stream or screen as it comes"),
    ("cameras", list_cameras, lambda _parser: None, "list the cameras"),
    (
        "demo",
        files.demo,
        files.add_demo_options,
        f"paint a moving pattern into {files.DEMO_FILE}",
    ),
    (
        "styles",
        styles.styles,
        styles.add_styles_options,
        "list the styles, or one style's card",
    ),
    ("doctor", doctor, add_doctor_options, "say what runs here, what does not, and the fix"),
    ("bench", bench, add_bench_options, "measure frames per second on this machine"),
)

_ENDS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that end a command as Ctrl-C does; Windows knows no hang-up of a terminal."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status.

    It is 0, 2 for bad input, 130 for Ctrl-C, or 141 if nobody reads the output any more.
    """
    if isinstance(sys.stdout, TextIOWrapper):
        # As standard error does: names of files need not be valid text.
        sys.stdout.reconfigure(errors="backslashreplace")
    options = _parser().parse_args(arguments)
    before = {number: signal.getsignal(number) for number in _ENDS}
    heeded = [number for number in _ENDS if before[number] is not signal.SIG_IGN]  # as by nohup
    for number in heeded:
        signal.signal(number, _as_ctrl_c)
    try:
        command: Command = options.command
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
        for number in heeded:
            signal.signal(number, before[number])
    return 0


def _complain(message: str, error: BaseException) -> None:
    with suppress(OSError):  # the terminal is gone
        print("; ".join([message, *getattr(error, "__notes__", [])]), file=sys.stderr)


def _as_ctrl_c(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a closing terminal hangs up more than once
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamstyle", description="Paint video in the style of a picture, in real time."
    )
    parser.add_argument("--version", action="version", version=version("streamstyle"))
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    for name, run, add_options, text in _COMMANDS:
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.set_defaults(command=run)
        add_options(command)
    return parser
