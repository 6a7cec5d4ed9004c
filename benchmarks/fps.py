"""Measure frames per second by resolution, of our engines and of other ways to run a network.

Our engines run in each precision. Each way runs in a process of its own, and must first paint the
same picture as the first way. The ways take turns, so that a machine that is busy for a while
favors none. Memory is CPU memory: the most that the process used, with its libraries and a frame.
OpenCV's includes PyTorch, which writes its model. Then our fastest way paints a video file into
another; and after all sizes, a live session runs with the engine that it chooses by itself.

With --json, the results are kept after each size, as Markdown too, and the same command continues
with the sizes that are missing.

Usage: python -m benchmarks fps
"""

import argparse
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.observed import PATTERN as LIVE_PATTERN
from benchmarks.observed import Observed
from benchmarks.plots import check_matplotlib, write_plots
from benchmarks.table import Live, Row, Table, read_table, write_table
from benchmarks.ways import Way, WayError, Worker, in_a_line, ways
from engines import Frames
from streamstyle import system
from streamstyle.cli.bench import (
    PATTERN,
    Size,
    check_size,
    end_to_end,
    moving_frames,
    open_ready,
    race,
)
from streamstyle.cli.options import add_style, parse_size, style_asked_for
from streamstyle.errors import UserError
from streamstyle.live.resolution_governor import Promise
from streamstyle.sinks.atomic_file import check_target
from streamstyle.styles import CLASSIC_STYLE, StyleSpec, read_style

SIZES = ((256, 256), (512, 512), (640, 480), (1280, 720), (1920, 1080), (3840, 2160))

FRAMES = 5
"""Frames of the moving clip, which is painted again and again."""

LONGEST_S = 10.0
"""Maximum seconds per frame; a slower way is left out, because it would take minutes in all."""

ALIKE_DB = 25.0
"""PSNR to the first way's picture below which a way is refused; bfloat16 has about 50."""

REFERENCE = "PyTorch on cpu in float32"
"""Name of the way that the others are compared with."""

LIVE_SECONDS = 20.0


def main() -> None:
    """Print a Markdown table, and write files if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_style(parser, CLASSIC_STYLE)
    parser.add_argument("--sizes", type=parse_size, nargs="+", default=SIZES, metavar="WxH")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds for each way and size")
    parser.add_argument("--clip", default=PATTERN, help="a video to paint (default %(default)s)")
    parser.add_argument("--no-peers", action="store_true", help="measure our engines only")
    parser.add_argument("--no-live", action="store_true", help="measure no live session")
    parser.add_argument("--json", type=Path, metavar="FILE", help="file to keep the results in")
    parser.add_argument(
        "--compare", type=Path, metavar="FILE", help="earlier results to compare with"
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="folder to write plots into")
    options = parser.parse_args()
    sizes = sorted(set(options.sizes), key=lambda size: (size[0] * size[1], size))
    for size in sizes:
        check_size(size)
    if options.json is not None:
        check_target(options.json, overwrite=True)
    if options.plots is not None:
        check_matplotlib()
    earlier = None if options.compare is None else read_table(options.compare)
    style = style_asked_for(options, CLASSIC_STYLE)
    runners = list(ways(style, sizes[0], not options.no_peers))
    table = _begun(options, style, runners)

    def keep() -> None:
        if options.json is not None:
            write_table(table, options.json, earlier)

    print("\n".join([table.head, *map(str, table.rows)]), flush=True)
    try:
        for size in sizes:
            if table.has(_name(size)):
                continue
            rows = measured(table, runners, size)
            rows += _file_to_file(table, style, runners, rows, size)
            table.add(rows)
            print("\n".join(map(str, rows)), flush=True)
            keep()
        if table.live is None and not options.no_live:
            table.live = watched(style)
    except KeyboardInterrupt:
        kept = "" if options.json is None else f"; {options.json} has the sizes so far"
        print(f"interrupted{kept}", file=sys.stderr)
        sys.exit(130)
    keep()
    print(table.tail(earlier), end="")
    if options.plots is not None:
        write_plots(table, options.plots)


def _begun(options: argparse.Namespace, style: StyleSpec, runners: list[Way]) -> Table:
    """Return the table that the --json file has so far, or an empty one."""
    table = Table(
        system.hardware(),
        system.packages("torch"),
        str(style),
        list(style.levels),
        style.alpha,
        read_style(style)[0].sha256,
        options.clip,
        options.seconds,
        [way.name for way in runners],
    )
    if options.json is None or not options.json.exists():
        return table
    begun = read_table(options.json)
    if differences := table.differences(begun):
        raise UserError(
            f"{options.json} has a table with another {' and '.join(differences)}; remove it, or "
            "give another file"
        )
    return begun


def measured(table: Table, runners: list[Way], size: Size) -> list[Row]:
    """Measure all ways at one size, and return a row for each."""
    name = _name(size)
    frames = moving_frames(size, FRAMES, table.clip)
    left_out: dict[str, str] = {}
    workers: list[Worker] = []
    wanted: Frames | None = None
    with ExitStack() as stack:
        for way in runners:
            predicted_s = table.predicted_s(way.name, size[0] * size[1])
            if predicted_s > LONGEST_S:
                left_out[way.name] = f"left out, a frame would take about {predicted_s:.0f} s"
                continue
            worker = stack.enter_context(Worker(way, size))
            try:
                painted = worker.paint(frames[0])
                wanted = painted if wanted is None else wanted
                check_alike(painted, wanted)
            except WayError as error:
                left_out[way.name] = str(error)
                worker.close()  # frees its memory for the others
            else:
                workers.append(worker)
        race(workers, frames, table.seconds)
    left_out |= {worker.name: worker.failure for worker in workers if worker.failure}
    raced = {worker.name: worker for worker in workers if not worker.failure}
    reference = raced.get(REFERENCE)
    rows = []
    for way in runners:
        ours = way.ours is not None
        if way.name in left_out:
            rows.append(Row(name, way.name, note=left_out[way.name], ours=ours))
            continue
        worker = raced[way.name]
        percentiles_ms = tuple(round(ms, 3) for ms in worker.milliseconds(*range(101)))
        times = None if reference is None else worker.fps / reference.fps
        ms, ms_95, ms_99 = worker.milliseconds(50, 95, 99)
        rows.append(
            Row(
                name,
                way.name,
                worker.fps,
                ms,
                ms_95,
                ms_99,
                worker.mb,
                times,
                ours=ours,
                percentiles_ms=percentiles_ms,
            )
        )
    return rows


def _file_to_file(
    table: Table, style: StyleSpec, runners: list[Way], rows: list[Row], size: Size
) -> list[Row]:
    """Paint a file by our fastest way; return a row for it, or none if no engine of ours ran."""
    fps = {row.way: row.fps for row in rows if row.ours and row.fps is not None}
    if not fps:
        return []
    fastest = next(way for way in runners if way.name == max(fps, key=lambda name: fps[name]))
    assert fastest.ours is not None
    row = Row(_name(size), "file to file")
    try:
        with open_ready(style, fastest.ours, size) as engine:
            through, alone = end_to_end(engine, size, table.seconds, table.clip)
    except Exception as error:  # the remaining sizes are still measured
        return [replace(row, note=in_a_line(error))]
    return [replace(row, fps=through, note=f"{through / alone:.0%} of {fastest.name} alone")]


def watched(style: StyleSpec) -> Live | None:
    """Watch a live session; return its measurements, or None if nothing was shown."""
    with Observed(style, Promise(), LIVE_SECONDS, lambda _session: None) as session:
        where = session.run()
        status, samples = session.status(), session.samples
    if not samples:
        return None
    age_ms, age_ms_95, age_ms_99 = np.percentile([s.age_ms for s in samples], (50, 95, 99)).tolist()
    came = samples[-1].index - samples[0].index + 1
    widths = [s.width for s in samples]
    return Live(
        f"{LIVE_PATTERN}, {where}",
        status.engine,
        len(samples) / LIVE_SECONDS,
        age_ms,
        age_ms_95,
        age_ms_99,
        1 - len(samples) / came,
        (min(widths), max(widths)),
    )


def check_alike(painted: Frames, wanted: Frames) -> None:
    """Raise WayError if the two pictures differ by more than ALIKE_DB allows."""
    error = float(np.mean((painted.astype(np.float32) - wanted) ** 2))
    if error > 255**2 / 10 ** (ALIKE_DB / 10):
        raise WayError("it paints another picture")


def _name(size: Size) -> str:
    return f"{size[0]}x{size[1]}"
