"""Read the table of pictures to learn styles from."""

import csv
from dataclasses import dataclass
from pathlib import Path

from engines import StyleCard
from export.errors import ExportError

COLUMNS = ("picture", "name", "title", "artist", "year", "licence")
"""Columns that a table of styles must have; those in MORE are optional."""

MORE = ("size", "weight", "share")


@dataclass(frozen=True)
class StylePicture:
    """A style to learn, with its description for the engine's card."""

    picture: str
    """Path of the picture."""
    name: str
    title: str
    artist: str = "unknown"
    year: str = "unknown"
    licence: str = "unknown"
    size: int = 512
    """Short side in pixels to which the picture is scaled; a larger one gives larger strokes."""
    weight: float = 1.0
    """Weight of this style's loss, relative to the other styles; above 1 the style is bolder."""
    share: float = 1.0
    """Relative share of photographs painted in this style; a hard style needs more."""

    @property
    def card(self) -> StyleCard:
        """Return the description of the style for the engine's card."""
        return StyleCard(self.name, self.title, self.artist, self.year, self.licence)


def read_styles(table: Path, pictures: Path) -> tuple[StylePicture, ...]:
    """Read the styles of a CSV file with the columns in COLUMNS and, optionally, those in MORE.

    The column `picture` names a file in the folder `pictures`. Raises ExportError if the table
    can't be read or is not valid.
    """
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"cannot read the table of styles {table}: {error}") from error
    if not rows:
        raise ExportError(f"{table} lists no styles; it needs the columns {', '.join(COLUMNS)}")
    for number, row in enumerate(rows, start=1):
        missing = [column for column in COLUMNS if not row.get(column)]
        if missing:
            raise ExportError(
                f"a table of styles needs the columns {', '.join(COLUMNS)}; style {number} of "
                f"{table} lacks {', '.join(missing)}"
            )
    names = [row["name"] for row in rows]
    if len(set(names)) < len(names):
        raise ExportError(f"two styles in {table} have the same name; rename one")
    try:
        styles = tuple(
            StylePicture(
                picture=str(pictures / row["picture"]),
                **{column: row[column] for column in COLUMNS[1:]},
                size=int(row.get("size") or StylePicture.size),
                weight=float(row.get("weight") or StylePicture.weight),
                share=float(row.get("share") or StylePicture.share),
            )
            for row in rows
        )
    except ValueError as error:
        raise ExportError(
            f"a {', '.join(MORE[:-1])} or {MORE[-1]} in {table} is not a number: {error}"
        ) from error
    for style in styles:
        if not min(style.size, style.weight, style.share) > 0:
            raise ExportError(
                f"each {', '.join(MORE[:-1])} or {MORE[-1]} must be above 0; "
                f"correct {style.name} in {table}"
            )
    return styles
