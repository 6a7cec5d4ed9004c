"""`streamstyle-export`: train a net for a picture, and make an engine of it."""

import argparse
import json
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from engines import EngineError, read_card
from export import gatys
from export.checkpoint import read_checkpoint
from export.engine_file import write_engine
from export.errors import ExportError
from export.gatys import GatysConfig
from export.losses import LossConfig
from export.models.johnson import JohnsonConfig
from export.models.many_style import ManyStyleConfig
from export.models.stytr2 import StyTr2Config
from export.options import add_options, add_training, as_options, replaced
from export.photos import list_photos, to_image
from export.styles import COLUMNS, MORE, StylePicture, read_styles
from export.stytr2_file import write_stytr2_engine
from export.stytr2_loss import StyTr2LossConfig
from export.train import TrainConfig, load_trained, net_config, train
from export.train_stytr2 import FAMILY as STYTR2
from export.train_stytr2 import StyTr2TrainConfig, load_trained_stytr2, train_stytr2
from export.train_wct import FAMILY as WCT
from export.train_wct import WctConfig, load_trained_wct, train_wct
from export.wct_file import write_wct_engine

PAPER = "paper"

STROKES = (0.6, 1.0, 1.6)
"""Sizes of each style's picture that a net for many styles learns the strokes of."""

ADDING = {"steps": 300, "batch_size": 2, "crop": 192, "learning_rate": 0.004, "style_warm_up": 1}
"""What add-style takes unless told otherwise: there is little to learn, and no harm in haste."""

ADDING_LOSS = {"content_layers": ("relu3_1", "relu4_1"), "style_weight": 6.0}
"""And as the losses: those of the last training of what ships."""


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


def _train_johnson(options: argparse.Namespace) -> None:
    net = JohnsonConfig.paper() if options.preset == PAPER else JohnsonConfig()
    style = _style(options, options.style, options.out.stem)
    _train(options, TrainConfig((style,), str(options.photos), net=net, loss=_loss(options)))


def _train_many(options: argparse.Namespace) -> None:
    config = TrainConfig(
        read_styles(options.styles, options.pictures),
        str(options.photos),
        strokes=STROKES,
        net=ManyStyleConfig(),
        loss=_loss(options),
    )
    _train(options, config)


def _loss(options: argparse.Namespace) -> LossConfig:
    return LossConfig.paper() if options.preset == PAPER else LossConfig()


def _add_style(options: argparse.Namespace) -> None:
    card = read_card(options.to)
    if card.family != "many-style":
        raise ExportError(f"{options.to} is a net for one style; give one for many")
    style = _style(options, options.picture, options.picture.stem)
    if style.name in [known.name for known in card.styles]:
        raise ExportError(f"{options.to} has a style {style.name} already; give another --name")
    options.start_from = str(options.to)
    if options.out is None:
        options.out, options.overwrite = options.to, True
    config = TrainConfig(
        (style,),
        str(options.photos),
        kept_styles=len(card.styles) * len(card.strokes),
        strokes=card.strokes,
        net=net_config(card),
        loss=LossConfig(**ADDING_LOSS),  # type: ignore[arg-type]
        **ADDING,  # type: ignore[arg-type]
    )
    _train(options, config)


def _style(options: argparse.Namespace, picture: Path, name: str) -> StylePicture:
    return StylePicture(
        picture=str(picture),
        name=options.name or name,
        title=options.title or picture.stem,
        artist=options.artist,
        year=options.year,
        licence=options.licence,
        size=options.style_size,
    )


def _train(options: argparse.Namespace, config: TrainConfig) -> None:
    _check_out(options.out, options.overwrite)
    parts = {part: replaced(getattr(config, part), options) for part in ("net", "loss")}
    run = options.run or options.out.with_suffix(".run")
    train(replaced(config, options, **parts), run)
    _write(run / "checkpoint.pt", options)


def _train_stytr2(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite)
    net = StyTr2Config.compact() if options.compact else StyTr2Config()
    loss = StyTr2LossConfig.paper_code() if options.paper_code else StyTr2LossConfig()
    config = StyTr2TrainConfig(photos=str(options.photos), pictures=str(options.pictures))
    parts = {"net": replaced(net, options), "loss": replaced(loss, options)}
    run = options.run or options.out.with_suffix(".run")
    train_stytr2(replaced(config, options, **parts), run)
    _write_stytr2(run / "checkpoint.pt", options)


def _onnx(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite)
    family = json.loads(read_checkpoint(options.checkpoint)["config"])["family"]
    writers = {STYTR2: _write_stytr2, WCT: _write_wct}
    writers.get(family, _write)(options.checkpoint, options)


def _gatys(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite, (".png", ".jpg"))
    config = GatysConfig.paper() if options.paper else GatysConfig()
    config = replaced(config, options, loss=replaced(config.loss, options))
    with tqdm(total=config.steps, unit="step", desc=options.out.name) as progress:

        def on_step(loss: float) -> None:
            progress.update()
            progress.set_postfix(loss=f"{loss:.3f}")

        painted = gatys.paint(options.photo, options.picture, config, on_step)
    to_image(painted).save(options.out, quality=95)


def _train_wct(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite)
    run = options.run or options.out.with_suffix(".run")
    config = WctConfig(str(options.photos), str(options.pictures or ""))
    train_wct(replaced(config, options), run)
    if int(os.environ.get("RANK", "0")) == 0:  # the first process of several writes
        _write_wct(run / "checkpoint.pt", options)


def _write_wct(checkpoint: Path, options: argparse.Namespace) -> None:
    nets, config, step = load_trained_wct(checkpoint)
    words = ["streamstyle-export", "train", "wct", "--photos", "PHOTOS"]
    words += ["--pictures", "PICTURES"] if config.style_steps else []
    words += as_options(config, {})
    training = {
        **_history(config, shlex.join(words)),
        "steps": step,
        "photos": len(list_photos(options.photos)),
        "losses": (
            "pixels and features, a compact encoder's also to its teachers' features"
            + (f"; content and style of {_named(config.network)}" if config.style_steps else "")
        ),
    }
    _report(options.out, write_wct_engine(nets, options.out, training, options.photos))


def _write(checkpoint: Path, options: argparse.Namespace) -> None:
    net, config, step = load_trained(checkpoint)
    cards = [style.card for style in config.styles]
    if config.start_from:
        before = read_card(Path(config.start_from))
        cards = [*before.styles[: config.kept_styles // len(config.strokes)], *cards]
    training = {
        **_history(config, _command(config)),
        "net": asdict(config.net),
        "steps": step,
        "photos": len(list_photos(options.photos)),
        "losses": (
            f"content at {', '.join(config.loss.content_layers)} and style at "
            f"{', '.join(config.loss.style_layers)} of {_named(config.loss.network)}"
        ),
    }
    measured = write_engine(
        net, options.out, config.family, cards, training, options.photos, config.strokes
    )
    _report(options.out, measured)


def _write_stytr2(checkpoint: Path, options: argparse.Namespace) -> None:
    net, config, step = load_trained_stytr2(checkpoint)
    training = {
        **_history(config, _stytr2_command(config)),
        "net": asdict(config.net),
        "steps": step,
        "photos": len(list_photos(options.photos)),
        "losses": (
            f"content at {', '.join(config.loss.content_layers)}, style and identity at "
            f"{', '.join(config.loss.style_layers)} of {_named(config.loss.network)}"
        ),
    }
    measured = write_stytr2_engine(net, options.out, training, options.photos)
    _report(options.out, measured)


def _history(config: TrainConfig | StyTr2TrainConfig | WctConfig, command: str) -> dict[str, Any]:
    """The commands that trained it, those of what it starts from first, and what is noted there."""
    if not config.start_from:
        return {"commands": [command]}
    before = read_card(Path(config.start_from)).training
    notes = {key: before[key] for key in ("note",) if key in before}
    return {"commands": [*before["commands"], command], **notes}


def _named(networks: tuple[str, ...]) -> str:
    return " and ".join(Path(network).name for network in networks)


def _stytr2_command(config: StyTr2TrainConfig) -> str:
    words = ["streamstyle-export", "train", "stytr2", "--photos", "PHOTOS"]
    words += ["--pictures", "PICTURES"]
    for part in (config, config.net, config.loss):
        words += as_options(part, {})
    return shlex.join(words)


def _report(out: Path, measured: dict[str, Any]) -> None:
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, at least "
        f"{measured['worst_psnr_db']} dB from PyTorch at {', '.join(measured['sizes'])}"
    )
    int8_db = measured.get("int8_worst_psnr_db")
    if int8_db is not None and not read_card(out).ranges:
        print(
            f"{out.name} is not painted in 8 bits, where it has {int8_db} dB at worst: "
            "a processor takes about twice as long"
        )


def _command(config: TrainConfig) -> str:
    """The command that trains this, with names of files but not where they were."""
    style = config.styles[0]
    parts: list[Any] = [config, config.net, config.loss]
    words = ["streamstyle-export"]
    if config.kept_styles:
        words += ["add-style", Path(style.picture).name, "--to", Path(config.start_from).name]
        parts.remove(config.net)
    elif config.family == "johnson":
        words += ["train", "johnson", "--style", Path(style.picture).name]
    else:
        words += ["train", "many-style", "--styles", "STYLES", "--pictures", "PICTURES"]
    words += ["--photos", "PHOTOS"]
    if len(config.styles) == 1 and style.size != StylePicture.size:
        words += ["--style-size", str(style.size)]
    known: dict[str, Any] = {}
    if config.kept_styles:
        known = {"start_from": config.start_from, **ADDING, **ADDING_LOSS}  # --to is start_from
    for part in parts:
        words += as_options(part, known)
    return shlex.join(words)


def _check_out(out: Path, overwrite: bool, suffixes: tuple[str, ...] = (".onnx",)) -> None:
    if out.suffix not in suffixes:
        raise ExportError(f"the file to write ends in {' or '.join(suffixes)}, got {out}")
    if out.exists() and not overwrite:
        raise ExportError(f"{out} exists already; add --overwrite to replace it")
    if not out.parent.is_dir():
        raise ExportError(f"the folder {out.parent} does not exist; make it first")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamstyle-export", description="Train styles and export engines."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    training = commands.add_parser("train", help="train a net")
    families = training.add_subparsers(required=True, metavar="FAMILY")
    johnson = families.add_parser("johnson", help="a net for one picture")
    johnson.set_defaults(command=_train_johnson)
    johnson.add_argument("--style", type=Path, required=True, help="the picture")
    _add_preset(johnson, "net and losses")
    johnson.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    _add_style_options(johnson)
    add_training(johnson, TrainConfig, JohnsonConfig, LossConfig)

    many = families.add_parser("many-style", help="one net for many pictures")
    many.set_defaults(command=_train_many)
    many.add_argument(
        "--styles",
        type=Path,
        required=True,
        help=f"CSV file with the columns {', '.join(COLUMNS)}; {', '.join(MORE)} may follow",
    )
    many.add_argument("--pictures", type=Path, required=True, help="the folder they are in")
    _add_preset(many, "losses")
    many.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    add_training(many, TrainConfig, ManyStyleConfig, LossConfig)

    any_style = families.add_parser("stytr2", help="a transformer for the style of any picture")
    any_style.set_defaults(command=_train_stytr2)
    any_style.add_argument("--pictures", type=Path, required=True, help="folder of paintings")
    any_style.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    any_style.add_argument("--compact", action="store_true", help="a net for real time on a CPU")
    any_style.add_argument("--paper-code", action="store_true", help="weights of the authors' code")
    add_training(any_style, StyTr2TrainConfig, StyTr2Config, StyTr2LossConfig)
    wct = families.add_parser("wct", help="nets that paint in the style of any picture")
    wct.set_defaults(command=_train_wct)
    wct.add_argument("--pictures", type=Path, help="folder of paintings, for --style-steps")
    wct.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    add_training(wct, WctConfig)

    adding = commands.add_parser("add-style", help="teach a net for many styles one more")
    adding.set_defaults(command=_add_style)
    adding.add_argument("picture", type=Path)
    adding.add_argument("--to", type=Path, required=True, help="the net, a .onnx file")
    adding.add_argument("--out", type=Path, help="the .onnx file to write (default: --to)")
    _add_style_options(adding)
    add_training(adding, TrainConfig, LossConfig)

    optimising = commands.add_parser("gatys", help="paint one photograph by optimisation, slowly")
    optimising.set_defaults(command=_gatys)
    optimising.add_argument("photo", type=Path)
    optimising.add_argument("picture", type=Path, help="whose style to paint it in")
    optimising.add_argument("--out", type=Path, required=True, help="the .png or .jpg to write")
    optimising.add_argument("--paper", action="store_true", help="layers and losses as published")
    optimising.add_argument("--overwrite", action="store_true", help="replace an existing file")
    add_options(optimising, GatysConfig, LossConfig)

    export = commands.add_parser("onnx", help="make an engine of a checkpoint")
    export.set_defaults(command=_onnx)
    export.add_argument("checkpoint", type=Path)
    export.add_argument("out", type=Path, help="the .onnx file to write")
    export.add_argument("--photos", type=Path, required=True, help="photographs to check it on")
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser


def _add_preset(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--preset",
        choices=("recipe", PAPER),
        default="recipe",
        help=f"{what} to begin with, for the options below to change: what ships was trained by "
        "the recipe (default), or as Johnson et al. published",
    )


def _add_style_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--style-size", type=int, default=StylePicture.size, help="its short side, in pixels"
    )
    card = parser.add_argument_group("what the file says of the style")
    card.add_argument("--name", help="for --style (default: the file's name)")
    card.add_argument("--title", help="of the picture (default: its file's name)")
    card.add_argument("--artist", default="unknown")
    card.add_argument("--year", default="unknown")
    card.add_argument("--licence", default="unknown")
