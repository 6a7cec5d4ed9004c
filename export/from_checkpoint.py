"""Write engines from checkpoints; their cards say how they were trained."""

import json
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engines import read_card
from export.common.checkpoint import read_checkpoint
from export.common.engine_file import Description, write_engine
from export.data.photos import list_photos
from export.data.style_table import StylePicture
from export.errors import ExportError
from export.families.any_picture.model import AnyPicture
from export.families.any_picture.onnx_file import write_any_picture_engine
from export.families.any_picture.train import FAMILY as ANY_PICTURE
from export.families.any_picture.train import AnyPictureTrainConfig, load_trained_any_picture
from export.families.many_style.train import TrainConfig, load_trained
from export.families.stytr2.onnx_file import write_stytr2_engine
from export.families.stytr2.train import FAMILY as STYTR2
from export.families.stytr2.train import StyTr2TrainConfig, load_trained_stytr2
from export.families.wct.config import FAMILY as WCT
from export.families.wct.config import WctConfig
from export.families.wct.onnx_file import write_wct_engine
from export.families.wct.train import load_trained_wct
from export.options import as_options

STROKES = (0.6, 1.0, 1.6)
"""Stroke sizes that a net for many styles learns, as factors of the style pictures' size."""

ADDING = {"steps": 300, "batch_size": 2, "crop": 192, "learning_rate": 0.004, "style_warm_up": 1}
"""Default training options of add-style.

Few weights learn, so a few steps with a high learning rate are enough.
"""


def write_from_checkpoint(checkpoint: Path, out: Path, photos: Path) -> dict[str, Any]:
    """Write the engine of a checkpoint of any family and return what its check measured.

    The check compares the file with PyTorch on `photos`. Raises ExportError, and writes nothing, if
    the file paints differently.
    """
    try:
        config = json.loads(read_checkpoint(checkpoint)["config"])
    except ValueError as error:
        raise ExportError(f"the settings in {checkpoint} are damaged: {error}") from error
    writers = {STYTR2: _write_stytr2, WCT: _write_wct, ANY_PICTURE: _write_any_picture}
    learned_styles = "styles" in config  # true for a net of any family
    write = _write_feed_forward if learned_styles else writers[config["family"]]
    return write(checkpoint, out, photos)


def _write_feed_forward(checkpoint: Path, out: Path, photos: Path) -> dict[str, Any]:
    net, config, step = load_trained(checkpoint)
    cards = [style.card for style in config.styles]
    if config.start_from:
        before = read_card(Path(config.start_from))
        cards = [*before.styles[: (config.kept_rows or 0) // len(config.strokes)], *cards]
    training = _training(config, _command(config), step, photos, "style")
    description = Description(config.family, cards, training, config.strokes)
    if isinstance(net, AnyPicture):
        return write_any_picture_engine(net, out, description, photos, pictures=photos)
    return write_engine(net, out, description, photos)


def _write_any_picture(checkpoint: Path, out: Path, photos: Path) -> dict[str, Any]:
    net, config, step = load_trained_any_picture(checkpoint)
    training = _training(config, _picture_command(ANY_PICTURE, config), step, photos, "style")
    description = Description(ANY_PICTURE, training=training, strokes=STROKES)
    return write_any_picture_engine(net, out, description, photos, Path(config.pictures))


def _write_stytr2(checkpoint: Path, out: Path, photos: Path) -> dict[str, Any]:
    net, config, step = load_trained_stytr2(checkpoint)
    command = _picture_command(STYTR2, config)
    training = _training(config, command, step, photos, "style and identity")
    return write_stytr2_engine(net, out, training, photos)


def _write_wct(checkpoint: Path, out: Path, photos: Path) -> dict[str, Any]:
    nets, config, step = load_trained_wct(checkpoint)
    words = ["streamstyle-export", "train", "wct", "--photos", "PHOTOS"]
    words += ["--pictures", "PICTURES"] if config.style_steps else []
    words += as_options(config, {})
    training = {
        **_history(config, shlex.join(words)),
        "steps": step,
        "photos": len(list_photos(photos)),
        "losses": (
            "pixels and features; for a compact encoder also its teachers' features"
            + (f"; content and style of {_named(config.network)}" if config.style_steps else "")
        ),
    }
    return write_wct_engine(nets, out, training, photos)


def _training(
    config: TrainConfig | AnyPictureTrainConfig | StyTr2TrainConfig,
    command: str,
    step: int,
    photos: Path,
    style: str,
) -> dict[str, Any]:
    """Describe a training for the card; `style` names the losses at the style layers."""
    losses = config.loss
    return {
        **_history(config, command),
        "net": asdict(config.net),
        "steps": step,
        "photos": len(list_photos(photos)),
        "losses": (
            f"content at {', '.join(losses.content_layers)}, {style} at "
            f"{', '.join(losses.style_layers)} of {_named(losses.network)}"
        ),
    }


def _history(
    config: TrainConfig | AnyPictureTrainConfig | StyTr2TrainConfig | WctConfig, command: str
) -> dict[str, Any]:
    """Return the training commands, those of the starting engine first, and its note."""
    if not config.start_from:
        return {"commands": [command]}
    before = read_card(Path(config.start_from)).training
    notes = {key: before[key] for key in ("note",) if key in before}
    return {"commands": [*before["commands"], command], **notes}


def _named(networks: tuple[str, ...]) -> str:
    return " and ".join(Path(network).name for network in networks)


def _picture_command(family: str, config: AnyPictureTrainConfig | StyTr2TrainConfig) -> str:
    words = ["streamstyle-export", "train", family, "--photos", "PHOTOS", "--pictures", "PICTURES"]
    for part in (config, config.net, config.loss):
        words += as_options(part, {})
    return shlex.join(words)


def _command(config: TrainConfig) -> str:
    """Return the command that repeats a training, with file names but without their folders."""
    style = config.styles[0]
    parts: list[Any] = [config, config.net, config.loss]
    words = ["streamstyle-export"]
    if config.kept_rows is not None:
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
    if config.kept_rows is not None:  # --to gives start_from and the strokes
        known = {"start_from": config.start_from, "strokes": config.strokes, **ADDING}
    for part in parts:
        words += as_options(part, known)
    return shlex.join(words)
