"""The pictures to learn styles from."""

import csv
from dataclasses import dataclass
from pathlib import Path

from engines import StyleCard
from export.errors import ExportError

COLUMNS = ("picture", "name", "title", "artist", "year", "licence")
"""That a table of styles must have; those of MORE may follow."""

MORE = ("size", "weight", "share")


@dataclass(frozen=True)
class StylePicture:
    """A style to be learned, and what the engine will say of it."""

    picture: str
    """The picture's path."""
    name: str
    title: str
    artist: str = "unknown"
    year: str = "unknown"
    licence: str = "unknown"
    size: int = 512
    """Short side, in pixels, that the picture is scaled to: the larger, the larger the strokes."""
    weight: float = 1.0
    """Weight of this style's loss beside the others': bolder above 1."""
    share: float = 1.0
    """How many photographs are painted in it, beside the others: a hard style needs more."""

    @property
    def card(self) -> StyleCard:
        return StyleCard(self.name, self.title, self.artist, self.year, self.licence)


def read_styles(table: Path, pictures: Path) -> tuple[StylePicture, ...]:
    """The styles of a CSV file with the columns of COLUMNS; `picture` is a file in `pictures`."""
    try:
        with table.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportError(f"cannot read the table of styles {table}: {error}") from error
    missing = [column for column in COLUMNS if not rows or not rows[0].get(column)]
    if missing:
        raise ExportError(
            f"a table of styles has the columns {', '.join(COLUMNS)}; {table} lacks "
            f"{', '.join(missing)}"
        )
    names = [row["name"] for row in rows]
    if len(set(names)) < len(names):
        raise ExportError(f"two styles of {table} have one name")
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
            f"a {', '.join(MORE[:-1])} or {MORE[-1]} in {table} is no number: {error}"
        ) from error
    for style in styles:
        if not min(style.size, style.weight, style.share) > 0:
            raise ExportError(
                f"each {', '.join(MORE[:-1])} or {MORE[-1]} is above 0; see {style.name} in {table}"
            )
    return styles
