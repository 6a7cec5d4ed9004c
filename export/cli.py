"""`streamstyle-export`: train a net for a picture, and make an engine of it."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, get_args

from engines import EngineError, StyleCard, read_card
from export.engine_file import write_engine
from export.errors import ExportError
from export.losses import LossConfig
from export.models.johnson import JohnsonConfig
from export.photos import list_photos
from export.train import TrainConfig, load_trained, train

_CONFIGS: dict[str, type[TrainConfig] | type[JohnsonConfig] | type[LossConfig]] = {
    "training": TrainConfig,
    "net": JohnsonConfig,
    "loss": LossConfig,
}
"""What can be set on the command line: every field that has a default is an option."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, 2 for bad input, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except (ExportError, EngineError) as error:
        print(f"streamstyle-export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("streamstyle-export: stopped; the same command goes on from there", file=sys.stderr)
        return 130
    return 0


def _train(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite)
    net = JohnsonConfig.paper() if options.paper else JohnsonConfig()
    loss = LossConfig.paper() if options.paper else LossConfig()
    config = _replaced(
        TrainConfig(style=str(options.style), photos=str(options.photos)),
        options,
        net=_replaced(net, options),
        loss=_replaced(loss, options),
    )
    run = options.run or options.out.with_suffix(".run")
    train(config, run)
    _write(run / "checkpoint.pt", options)


def _onnx(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite)
    _write(options.checkpoint, options)


def _write(checkpoint: Path, options: argparse.Namespace) -> None:
    net, config, step = load_trained(checkpoint)
    style = StyleCard(
        name=options.name or options.out.stem,
        title=options.title or Path(config.style).stem,
        artist=options.artist,
        year=options.year,
        licence=options.licence,
    )
    earlier = read_card(Path(config.start_from)).training["commands"] if config.start_from else []
    training = {
        "commands": [*earlier, _command(config)],
        "steps": step,
        "photos": len(list_photos(options.photos)),
        "losses": (
            f"content at {', '.join(config.loss.content_layers)} and style at "
            f"{', '.join(config.loss.style_layers)} of {Path(config.loss.network).stem}"
        ),
    }
    measured = write_engine(net, options.out, "johnson", [style], training, options.photos)
    print(
        f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB, at least "
        f"{measured['worst_psnr_db']} dB from PyTorch at {', '.join(measured['sizes'])}"
    )


def _command(config: TrainConfig) -> str:
    """The command that trains this, with names of files but not where they were."""
    words = ["streamstyle-export", "train", "johnson"]
    words += ["--style", Path(config.style).name, "--photos", "PHOTOS"]
    for part in (config, config.net, config.loss):
        for field in fields(part):
            value = getattr(part, field.name)
            if not _is_option(field) or value == field.default or field.name == "device":
                continue
            text = Path(value).name if field.name in ("network", "start_from") else str(value)
            if isinstance(value, tuple):
                text = ",".join(value)
            words += [_flag(field.name), text]
    return shlex.join(words)


def _check_out(out: Path, overwrite: bool) -> None:
    if out.suffix != ".onnx":
        raise ExportError(f"an engine's name ends in .onnx, got {out}")
    if out.exists() and not overwrite:
        raise ExportError(f"{out} exists already; add --overwrite to replace it")
    if not out.parent.is_dir():
        raise ExportError(f"the folder {out.parent} does not exist; make it first")


def _replaced(config: Any, options: argparse.Namespace, **parts: Any) -> Any:
    """`config` with the options that were given."""
    from dataclasses import replace

    given = {
        field.name: getattr(options, field.name)
        for field in fields(config)
        if _is_option(field) and getattr(options, field.name) is not None
    }
    return replace(config, **given, **parts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamstyle-export", description="Train styles and export engines."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    training = commands.add_parser("train", help="train a net for a picture")
    training.set_defaults(command=_train)
    training.add_argument("family", choices=["johnson"])
    training.add_argument("--style", type=Path, required=True, help="the picture")
    training.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    training.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    training.add_argument("--run", type=Path, help="folder for checkpoints (default: OUT.run)")
    training.add_argument("--paper", action="store_true", help="net and losses as published")
    for title, config in _CONFIGS.items():
        group = training.add_argument_group(title)
        for field in fields(config):
            if _is_option(field):
                _add_option(group, field)
    _add_card(training)

    export = commands.add_parser("onnx", help="make an engine of a checkpoint")
    export.set_defaults(command=_onnx)
    export.add_argument("checkpoint", type=Path)
    export.add_argument("out", type=Path, help="the .onnx file to write")
    export.add_argument("--photos", type=Path, required=True, help="photographs to check it on")
    _add_card(export)
    return parser


def _add_card(parser: argparse.ArgumentParser) -> None:
    card = parser.add_argument_group("what the file says of the style")
    card.add_argument("--name", help="for --style (default: the file's name)")
    card.add_argument("--title", help="of the picture (default: its file's name)")
    card.add_argument("--artist", default="unknown")
    card.add_argument("--year", default="unknown")
    card.add_argument("--licence", default="unknown")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")


def _is_option(field: Any) -> bool:
    return field.default is not MISSING


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _add_option(group: Any, field: Any) -> None:
    default = field.default
    choices = get_args(field.type) or None
    kind: Callable[[str], Any] = type(default)
    shown = default
    if isinstance(default, bool):
        kind, choices = _boolean, None
    elif isinstance(default, tuple):
        kind, choices, shown = lambda text: tuple(text.split(",")), None, ",".join(default)
    group.add_argument(_flag(field.name), type=kind, choices=choices, help=f"default {shown}")


def _boolean(text: str) -> bool:
    return {"true": True, "false": False}[text.lower()]
