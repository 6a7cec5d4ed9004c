"""Plots of a table of frames per second."""

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.table import Row, Table
from engines.availability import IN_FOLDER
from streamstyle.errors import UserError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8B6F47")
"""Okabe and Ito's colors, which color-blind people can tell apart, with brown for yellow."""

MARKERS = "osD^vP"


def check_matplotlib() -> None:
    """Raise UserError if Matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise UserError(
            f'plots need matplotlib, which is not installed; {IN_FOLDER}: pip install ".[bench]"'
        )


def write_plots(table: Table, folder: Path) -> None:
    """Write fps.svg and latency.svg, with the ways that were measured.

    Raises UserError if none was measured.
    """
    import matplotlib.pyplot as plt

    measured = [row for row in table.rows if row.way in table.ways and row.ms is not None]
    if not measured:
        raise UserError("there is nothing to plot, because no way was measured")
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {"fps": _draw_fps, "latency": _draw_latency}
    # Text stays text, which is sharp, small and searchable.
    with plt.rc_context({"svg.fonttype": "none", "axes.axisbelow": True}):
        for name, draw in drawings.items():
            figure, axes = plt.subplots(figsize=(11, 6), layout="constrained")
            draw(axes, measured, table.ways)
            axes.spines[["top", "right"]].set_visible(False)
            figure.legend(loc="outside right center", frameon=False)
            figure.suptitle(f"{table.style}, {table.machine}", fontsize="medium", wrap=True)
            figure.savefig(folder / f"{name}.svg")
            plt.close(figure)


def _draw_fps(axes: "Axes", rows: list[Row], ways: list[str]) -> None:
    """Plot frames per second over pixels, on log axes.

    A way whose pixels cost the same at every size runs parallel to the dashed lines.
    """
    for way in ways:
        points = [(row.pixels, row.fps) for row in rows if row.way == way]
        if points:
            axes.plot(*zip(*points, strict=True), label=way, **_look(way, rows, ways))
    sizes = {row.pixels: row.size for row in rows}
    axes.set(xscale="log", yscale="log", xlabel="size of a frame", ylabel="frames per second")
    axes.set_xticks(list(sizes), list(sizes.values()), rotation=45, ha="right", fontsize=9)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(lambda fps, _: f"{fps:g}")
    axes.grid(True, axis="y", color="#e5e5e5")
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    for exponent in range(-3, 7):
        cost_ns = 10.0**exponent
        at_left, at_right = (1e9 / (cost_ns * pixels) for pixels in (left, right))
        axes.plot([left, right], [at_left, at_right], "--", color="#999999", linewidth=1, zorder=1)
        if low < at_right < high:
            axes.annotate(
                f"{cost_ns:g} ns per pixel",
                (right, at_right),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                color="#666666",
                fontsize="small",
            )
    axes.set(xlim=(left, right), ylim=(low, high))


def _draw_latency(axes: "Axes", rows: list[Row], ways: list[str]) -> None:
    """Plot the share of frames that took no longer, at the size that most ways were measured at."""
    sizes = [row.size for row in rows]
    size = max(sizes, key=lambda one: (sizes.count(one), sizes.index(one)))
    for row in rows:
        if row.size == size:
            look = _look(row.way, rows, ways) | {"markevery": [50, 95, 99]}
            axes.plot(row.percentiles_ms, np.arange(101), label=row.way, **look)
    axes.set(xscale="log", xlabel=f"milliseconds for a frame of {size}", ylabel="% of frames")
    axes.xaxis.set_major_formatter(lambda ms, _: f"{ms:g}")
    axes.xaxis.set_minor_formatter(lambda ms, _: f"{ms:g}" if f"{ms:e}"[0] in "25" else "")
    axes.set(ylim=(0, 101))
    axes.grid(True, which="both", color="#e5e5e5")


def _look(way: str, rows: list[Row], ways: list[str]) -> dict[str, Any]:
    """Return a way's look, the same in every plot; our engines have the heavier lines."""
    number = ways.index(way)
    return {
        "color": COLORS[number % len(COLORS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linewidth": 2.5 if any(row.ours for row in rows if row.way == way) else 1.2,
        "markersize": 6,
    }
