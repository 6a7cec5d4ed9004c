"""The table of frames per second: its file, its Markdown, and a comparison with an earlier one."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from streamstyle.errors import UserError

HEADS = ("size", "way", "fps", "ms", "95 %", "99 %", "ns per pixel", "MB", "times PyTorch")


@dataclass(frozen=True)
class Row:
    """A way at a size; None for what was not measured."""

    size: str
    way: str
    fps: float | None = None
    ms: float | None = None
    """Median milliseconds per frame; `fps` is from the median, too."""
    ms_95: float | None = None
    ms_99: float | None = None
    mb: float | None = None
    times_pytorch: float | None = None
    note: str = ""
    ours: bool = False
    percentiles_ms: tuple[float, ...] = ()
    """Percentiles 0 to 100 of the milliseconds per frame."""

    @property
    def pixels(self) -> int:
        width, height = map(int, self.size.split("x"))
        return width * height

    @property
    def ns_per_pixel(self) -> float | None:
        return None if self.ms is None else self.ms * 1e6 / self.pixels

    def __str__(self) -> str:
        numbers = [(self.fps, ".1f"), (self.ms, ".1f"), (self.ms_95, ".1f"), (self.ms_99, ".1f")]
        numbers += [(self.ns_per_pixel, ".1f"), (self.mb, ".0f"), (self.times_pytorch, ".2f")]
        cells = ["" if number is None else format(number, how) for number, how in numbers]
        way = f"{self.way}: {self.note}" if self.note else self.way
        return _line(self.size, way, *cells)


@dataclass(frozen=True)
class Live:
    """Measurements of a live session."""

    source: str
    engine: str
    fps: float
    age_ms: float
    """Median age of a frame when it was shown."""
    age_ms_95: float
    age_ms_99: float
    dropped: float
    """Share of the source's frames that were not shown."""
    widths: tuple[int, int]
    """Least and greatest width at which the network painted."""

    def __str__(self) -> str:
        least, most = self.widths
        return "\n".join(
            [
                _heading("live", "fps", "age, ms", "95 %", "99 %", "dropped", "network's width"),
                _line(
                    f"{self.source}, {self.engine}",
                    f"{self.fps:.1f}",
                    *(f"{ms:.0f}" for ms in (self.age_ms, self.age_ms_95, self.age_ms_99)),
                    f"{self.dropped:.1%}",
                    f"{least}" if least == most else f"{least} to {most}",
                ),
            ]
        )


@dataclass
class Table:
    """A table; all fields but `rows` and `live` say what it measures.

    If one of those fields differs, it is another table.
    """

    machine: str
    packages: str
    style: str
    levels: list[str]
    alpha: float
    model: str
    """SHA-256 of the model's file."""
    clip: str
    seconds: float
    ways: list[str]
    rows: list[Row] = field(default_factory=list)
    live: Live | None = None

    @property
    def head(self) -> str:
        about = f"{self.machine}\n{self.packages}\n{self.style} on {self.clip}, one frame at a time"
        return f"{about}\n\n{_heading(*HEADS)}"

    def tail(self, earlier: "Table | None") -> str:
        """Return the Markdown that follows the rows."""
        parts = [*self._growth(), *([str(self.live)] if self.live is not None else [])]
        parts += ["\n".join(_beside(self, earlier))] if earlier is not None else []
        return "".join(f"\n{part}\n" for part in parts)

    def add(self, rows: list[Row]) -> None:
        self.rows = sorted([*self.rows, *rows], key=lambda row: row.pixels)

    def has(self, size: str) -> bool:
        return any(row.size == size for row in self.rows)

    def predicted_s(self, way: str, pixels: int) -> float:
        """Return the predicted seconds per frame, or 0 if no smaller size was measured.

        A pixel is assumed to cost as much as at the largest smaller size.
        """
        known = [row for row in self.rows if row.way == way and row.pixels < pixels]
        costs = [row.ns_per_pixel for row in known if row.ns_per_pixel is not None]
        return costs[-1] * pixels / 1e9 if costs else 0.0

    def _growth(self) -> Iterator[str]:
        """Yield how the cost per pixel of our fastest way changes up to the largest size."""
        ours = [row for row in self.rows if row.ours and row.fps is not None]
        if not ours:
            return
        fastest = max(ours, key=lambda row: (row.pixels, row.fps)).way
        rows = [row for row in ours if row.way == fastest]
        costs = [row.ns_per_pixel for row in rows if row.ns_per_pixel is not None]
        if len(costs) > 1:
            yield (
                f"{fastest}: cost per pixel from {rows[0].size} to {rows[-1].size} within a "
                f"factor of {max(costs) / min(costs):.2f}"
            )

    def differences(self, other: "Table") -> list[str]:
        """Return the names of the fields, except `rows` and `live`, in which the other differs."""
        names = [f.name for f in fields(self) if f.name not in ("rows", "live")]
        return [name for name in names if getattr(self, name) != getattr(other, name)]


def read_table(path: Path) -> Table:
    """Return the table in the file `path`; raise UserError if there is none."""
    try:
        data = json.loads(path.read_text())
        live = data.pop("live")
        rows = [
            Row(**{**row, "percentiles_ms": tuple(row["percentiles_ms"])})
            for row in data.pop("rows")
        ]
        if live is not None:
            live = Live(**{**live, "widths": tuple(live["widths"])})
        return Table(**data, rows=rows, live=live)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(
            f"{path} is not a table that `python -m benchmarks fps --json` wrote here ({error})"
        ) from error


def write_table(table: Table, path: Path, earlier: Table | None) -> None:
    """Write the table as JSON, and as Markdown next to it.

    An interruption never leaves half a file.
    """
    rows = "".join(f"\n{row}" for row in table.rows)
    markdown = f"{table.head}{rows}\n{table.tail(earlier)}"
    texts = {path: json.dumps(asdict(table), indent=1) + "\n", path.with_suffix(".md"): markdown}
    for target, text in texts.items():
        partial = target.with_suffix(target.suffix + ".partial")
        partial.write_text(text)
        partial.replace(target)


def _beside(table: Table, earlier: Table) -> Iterator[str]:
    """Yield the ratio of frames per second for each row that both tables have."""
    for name in table.differences(earlier):
        if name != "ways":
            yield f"Earlier, {name}: {getattr(earlier, name)}; now: {getattr(table, name)}\n"
    before = {(row.size, row.way): row.fps for row in earlier.rows}
    yield _heading("size", "way", "fps", "earlier", "times earlier")
    for row in table.rows:
        fps = before.get((row.size, row.way))
        if fps is not None and row.fps is not None:
            yield _line(row.size, row.way, f"{row.fps:.1f}", f"{fps:.1f}", f"{row.fps / fps:.2f}")


def _heading(*cells: str) -> str:
    return f"{_line(*cells)}\n{'|---' * len(cells)}|"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
