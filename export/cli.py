"""Command line of `streamstyle-export`: train nets and write them as engines."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from torch import nn
from tqdm import tqdm

from engines import EngineError, read_card
from export.common.checkpoint import FILE
from export.common.losses import LossConfig
from export.data.photos import to_image
from export.data.style_table import COLUMNS, MORE, StylePicture, read_styles
from export.errors import ExportError
from export.families import gatys
from export.families.any_picture.model import AnyPictureConfig
from export.families.any_picture.train import FAMILY as ANY_PICTURE
from export.families.any_picture.train import AnyPictureTrainConfig, train_any_picture
from export.families.gatys import GatysConfig
from export.families.johnson.model import JohnsonConfig
from export.families.many_style.model import ManyStyleConfig
from export.families.many_style.train import TrainConfig, net_config, train
from export.families.stytr2.loss import StyTr2LossConfig
from export.families.stytr2.model import StyTr2Config
from export.families.stytr2.train import StyTr2TrainConfig, train_stytr2
from export.families.wct.config import WctConfig
from export.families.wct.train import train_wct
from export.from_checkpoint import ADDING, STROKES, write_from_checkpoint
from export.options import add_options, add_training, replaced

Trained = TypeVar("Trained", TrainConfig, AnyPictureTrainConfig, StyTr2TrainConfig)

RECIPE, PAPER, PAPER_CODE = "recipe", "paper", "paper-code"
"""Presets: the recipe of the shipped engines, or settings as in the paper or its code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 2 for bad input, or 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except (ExportError, EngineError) as error:
        print(f"streamstyle-export: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "streamstyle-export: stopped; run the same command again to continue a training",
            file=sys.stderr,
        )
        return 130
    return 0


def _train_johnson(options: argparse.Namespace) -> None:
    net = JohnsonConfig.paper() if options.preset == PAPER else JohnsonConfig()
    style = _style(options, options.style, options.out.stem)
    config = TrainConfig((style,), str(options.photos), net=net, loss=_loss(options))
    _train(options, config, train)


def _train_many(options: argparse.Namespace) -> None:
    config = TrainConfig(
        read_styles(options.styles, options.pictures),
        str(options.photos),
        strokes=STROKES,
        net=ManyStyleConfig(),
        loss=_loss(options),
    )
    _train(options, config, train)


def _loss(options: argparse.Namespace) -> LossConfig:
    return LossConfig.paper() if options.preset == PAPER else LossConfig()


def _add_style(options: argparse.Namespace) -> None:
    card = read_card(options.to)
    if card.family not in ("many-style", ANY_PICTURE):
        raise ExportError(
            f"{options.to} cannot learn more styles; give a many-style or any-picture engine"
        )
    style = _style(options, options.picture, options.picture.stem)
    if style.name in [known.name for known in card.styles]:
        raise ExportError(f"{options.to} already has a style {style.name}; give another --name")
    options.start_from = str(options.to)
    if options.out is None:
        options.out, options.overwrite = options.to, True
    config = TrainConfig(
        (style,),
        str(options.photos),
        kept_rows=len(card.styles) * len(card.strokes),
        strokes=card.strokes,
        net=net_config(card),
        **ADDING,  # type: ignore[arg-type]
    )
    _train(options, config, train)


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


def _train_stytr2(options: argparse.Namespace) -> None:
    config = StyTr2TrainConfig(
        photos=str(options.photos),
        pictures=str(options.pictures),
        net=StyTr2Config.compact() if options.compact else StyTr2Config(),
        loss=(
            StyTr2LossConfig.paper_code() if options.preset == PAPER_CODE else StyTr2LossConfig()
        ),
    )
    _train(options, config, train_stytr2)


def _train_any_picture(options: argparse.Namespace) -> None:
    config = AnyPictureTrainConfig(photos=str(options.photos), pictures=str(options.pictures))
    _train(options, config, train_any_picture)


def _train(
    options: argparse.Namespace, config: Trained, trainer: Callable[[Trained, Path], nn.Module]
) -> None:
    """Train with `config`, changed by the given options, and write the engine."""
    _check_out(options.out, options.overwrite)
    parts = {part: replaced(getattr(config, part), options) for part in ("net", "loss")}
    run = options.run or options.out.with_suffix(".run")
    trainer(replaced(config, options, **parts), run)
    _write(run / FILE, options)


def _onnx(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite)
    _write(options.checkpoint, options)


def _write(checkpoint: Path, options: argparse.Namespace) -> None:
    out: Path = options.out
    measured = write_from_checkpoint(checkpoint, out, options.photos)
    print(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB, PSNR against PyTorch at least "
        f"{measured['worst_psnr_db']} dB at {', '.join(measured['sizes'])}"
    )
    int8_db = measured.get("int8_worst_psnr_db")
    if int8_db is not None and not read_card(out).ranges:
        print(
            f"{out.name} does not run in 8 bits, where its worst PSNR is {int8_db} dB; "
            "in float32 a CPU takes about twice as long"
        )


def _gatys(options: argparse.Namespace) -> None:
    _check_out(options.out, options.overwrite, (".png", ".jpg"))
    config = GatysConfig.paper() if options.preset == PAPER else GatysConfig()
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
    if int(os.environ.get("RANK", "0")) == 0:  # only the first of several processes writes
        _write(run / FILE, options)


def _check_out(out: Path, overwrite: bool, suffixes: tuple[str, ...] = (".onnx",)) -> None:
    if out.suffix not in suffixes:
        raise ExportError(f"the output file must end in {' or '.join(suffixes)}, got {out}")
    if out.exists() and not overwrite:
        raise ExportError(f"{out} already exists; add --overwrite to replace it")
    if not out.parent.is_dir():
        raise ExportError(f"the folder {out.parent} does not exist; create it first")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamstyle-export", description="Train styles and export engines."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    training = commands.add_parser("train", help="train a net")
    families = training.add_subparsers(required=True, metavar="FAMILY")
    johnson = families.add_parser("johnson", help="one net for one style")
    johnson.set_defaults(command=_train_johnson)
    johnson.add_argument("--style", type=Path, required=True, help="the style picture")
    _add_preset(johnson, (RECIPE, PAPER), "net and losses")
    johnson.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    _add_style_options(johnson)
    add_training(johnson, TrainConfig, JohnsonConfig, LossConfig)

    many = families.add_parser("many-style", help="one net for many styles")
    many.set_defaults(command=_train_many)
    many.add_argument(
        "--styles",
        type=Path,
        required=True,
        help=f"CSV file with the columns {', '.join(COLUMNS)}; optional: {', '.join(MORE)}",
    )
    many.add_argument("--pictures", type=Path, required=True, help="folder of their pictures")
    _add_preset(many, (RECIPE, PAPER), "losses")
    many.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    add_training(many, TrainConfig, ManyStyleConfig, LossConfig)

    any_picture = families.add_parser("any-picture", help="one net for the style of any picture")
    any_picture.set_defaults(command=_train_any_picture)
    any_picture.add_argument("--pictures", type=Path, required=True, help="folder of paintings")
    any_picture.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    add_training(any_picture, AnyPictureTrainConfig, AnyPictureConfig, LossConfig)

    any_style = families.add_parser("stytr2", help="a transformer for the style of any picture")
    any_style.set_defaults(command=_train_stytr2)
    any_style.add_argument("--pictures", type=Path, required=True, help="folder of paintings")
    any_style.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    any_style.add_argument("--compact", action="store_true", help="smaller, for real time on a CPU")
    _add_preset(any_style, (PAPER, PAPER_CODE), "loss weights")
    add_training(any_style, StyTr2TrainConfig, StyTr2Config, StyTr2LossConfig)
    wct = families.add_parser("wct", help="autoencoders for the style of any picture")
    wct.set_defaults(command=_train_wct)
    wct.add_argument("--pictures", type=Path, help="folder of paintings, for --style-steps")
    wct.add_argument("--out", type=Path, required=True, help="the .onnx file to write")
    add_training(wct, WctConfig)

    adding = commands.add_parser("add-style", help="add one style to a net for many styles")
    adding.set_defaults(command=_add_style)
    adding.add_argument("picture", type=Path)
    adding.add_argument("--to", type=Path, required=True, help="the .onnx file of the net")
    adding.add_argument("--out", type=Path, help="the .onnx file to write (default: --to)")
    _add_style_options(adding)
    add_training(adding, TrainConfig, LossConfig)

    optimizing = commands.add_parser("gatys", help="paint one photograph by optimization, slowly")
    optimizing.set_defaults(command=_gatys)
    optimizing.add_argument("photo", type=Path)
    optimizing.add_argument("picture", type=Path, help="the style picture")
    optimizing.add_argument("--out", type=Path, required=True, help="the .png or .jpg to write")
    _add_preset(optimizing, (RECIPE, PAPER), "layers and losses")
    optimizing.add_argument("--overwrite", action="store_true", help="replace an existing file")
    add_options(optimizing, GatysConfig, LossConfig)

    export = commands.add_parser("onnx", help="write the engine of a checkpoint")
    export.set_defaults(command=_onnx)
    export.add_argument("checkpoint", type=Path)
    export.add_argument("out", type=Path, help="the .onnx file to write")
    export.add_argument(
        "--photos", type=Path, required=True, help="folder of photographs for the check"
    )
    export.add_argument("--overwrite", action="store_true", help="replace an existing file")
    return parser


def _add_preset(parser: argparse.ArgumentParser, presets: tuple[str, ...], what: str) -> None:
    """Add the option --preset; the first of `presets` is its default."""
    parser.add_argument(
        "--preset",
        choices=presets,
        default=presets[0],
        help=f"preset for {what}; the options below override it (default %(default)s)",
    )


def _add_style_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--style-size",
        type=int,
        default=StylePicture.size,
        help="short side of the style picture in pixels",
    )
    card = parser.add_argument_group("description of the style in the file")
    card.add_argument(
        "--name", help="name of the style, as --style takes it (default: the file's name)"
    )
    card.add_argument("--title", help="title of the picture (default: its file's name)")
    card.add_argument("--artist", default="unknown")
    card.add_argument("--year", default="unknown")
    card.add_argument("--licence", default="unknown")
