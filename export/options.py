"""Convert configurations to command-line options and back."""

import argparse
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, get_args

PATHS = {"network", "start_from", "clips", "encoder", "teachers"}
"""Options that are paths; the card keeps only the last part of each."""

UNSAID = {"device", "evaluate", "judge"}
"""Options that do not affect the weights; the card leaves them out."""


def add_options(parser: argparse.ArgumentParser, *configs: type) -> None:
    """Add an option for every field of `configs` that has a default."""
    for config in configs:
        group = parser.add_argument_group(config.__name__.removesuffix("Config"))
        for field in fields(config):
            if _is_option(field):
                _add_option(group, field)


def add_training(parser: argparse.ArgumentParser, *configs: type) -> None:
    """Add the options of every training and those for the fields of `configs`."""
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--run", type=Path, help="folder for checkpoints (default: OUT.run)")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    add_options(parser, *configs)


def _is_option(field: Any) -> bool:
    return field.default is not MISSING and field.metadata.get("option", True)


def _is_repeated(field: Any) -> bool:
    """Return whether the option is given once for each value of its tuple."""
    return bool(field.metadata.get("repeated"))


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
        shown, choices = ",".join(map(str, default)), None
        each = type(default[0]) if default else str
        kind = str if _is_repeated(field) else lambda text: tuple(map(each, text.split(",")))
    action = "append" if _is_repeated(field) else "store"
    group.add_argument(
        _flag(field.name), type=kind, choices=choices, action=action, help=f"default {shown}"
    )


def _boolean(text: str) -> bool:
    values = {"true": True, "false": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"must be true or false, got {text}")
    return values[text.lower()]


def replaced(config: Any, options: argparse.Namespace, **parts: Any) -> Any:
    """Return `config` with the given options and with `parts` replaced."""
    given = {
        field.name: tuple(value) if isinstance(value, list) else value
        for field in fields(config)
        if _is_option(field) and (value := getattr(options, field.name, None)) is not None
    }
    return replace(config, **given, **parts)


def as_options(config: Any, known: dict[str, Any]) -> list[str]:
    """Return the options that produce `config`, except values in `known` and defaults."""
    words = []
    for field in fields(config):
        value = getattr(config, field.name)
        if not _is_option(field) or field.name in UNSAID:
            continue
        if value == known.get(field.name, field.default):
            continue
        values = value if isinstance(value, tuple) else (value,)
        if field.name in PATHS:
            values = tuple(Path(one).name for one in values)
        if _is_repeated(field):
            words += [word for one in values for word in (_flag(field.name), str(one))]
        else:
            words += [_flag(field.name), ",".join(map(str, values))]
    return words
