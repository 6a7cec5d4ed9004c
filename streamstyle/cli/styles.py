"""The command that lists styles and shows their cards."""

import argparse
from pathlib import Path

from engines import read_card, takes_pictures
from streamstyle.cli.contact_sheet import write_sheet
from streamstyle.cli.options import add_overwrite
from streamstyle.styles import DEFAULT_MODEL, card_of, find_style, parse_style, shipped_models


def add_styles_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle styles` to its parser."""
    parser.add_argument("style", nargs="?", help="a style as for --style")
    parser.add_argument("--sheet", type=Path, help="write a picture of all styles here")
    parser.add_argument("--photo", type=Path, nargs="+", default=[], help="photos to paint in it")
    add_overwrite(parser)


def styles(options: argparse.Namespace) -> None:
    """Run `streamstyle styles`."""
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
