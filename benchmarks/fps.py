"""Frames per second by resolution, of our engines and of other ways to run the same network:
python -m benchmarks fps

All ways take turns frame by frame, so that a machine that is busy for a while favours none. Each is
first seen to paint the same picture. Its memory is the largest that a process of its own had by the
time it had painted two frames. Last comes a video file painted into another.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.peers import peer_memory, peers
from engines import Engine, Frames
from streamstyle import machine
from streamstyle.bench import (
    Contestant,
    Paint,
    end_to_end,
    engine_memory,
    in_new_process,
    moving_frames,
    open_candidates,
    race,
)
from streamstyle.options import add_style, size_of
from streamstyle.paint import describe
from streamstyle.styles import CLASSIC_STYLE, Transfer, asked_for, read_style

SIZES = ((256, 256), (512, 512), (640, 480), (1280, 720), (1920, 1080), (3840, 2160))

FRAMES = 5
"""Of a moving pattern, again and again."""

ALIKE_DB = 25.0
"""PSNR to the first engine, below which a way paints another picture; bfloat16 has about 50."""

REFERENCE = "PyTorch on cpu in float32"
"""What the others are set beside."""

Size = tuple[int, int]


@dataclass(frozen=True)
class Row:
    """Of the table; what was not measured is None."""

    size: str
    way: str
    fps: float
    ms: float | None = None
    ms_95: float | None = None
    ms_99: float | None = None
    mb: float | None = None
    beside: float | None = None

    def __str__(self) -> str:
        numbers = [(self.fps, ".1f"), (self.ms, ".1f"), (self.ms_95, ".1f"), (self.ms_99, ".1f")]
        numbers += [(self.mb, ".0f"), (self.beside, ".2f")]
        cells = ["" if number is None else format(number, how) for number, how in numbers]
        return f"| {' | '.join([self.size, self.way, *cells])} |"


def main() -> None:
    """Print a Markdown table, and write it as JSON if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_style(parser, CLASSIC_STYLE)
    parser.add_argument("--sizes", type=size_of, nargs="+", default=SIZES, metavar="WxH")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each way and size")
    parser.add_argument("--no-peers", action="store_true", help="our engines only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="to write the figures into")
    options = parser.parse_args()
    style = asked_for(options.style, options.style_image, CLASSIC_STYLE)
    transfer = Transfer(options.levels, options.alpha)
    about = {"machine": machine.cpu(), "packages": machine.packages(), "style": style}
    print("\n".join(about.values()) + ", one frame at a time\n")
    with ExitStack() as stack:
        engines = [stack.enter_context(engine) for engine in open_candidates(style, transfer)]
        print("| size | way | fps | ms | 95 % | 99 % | MB | times PyTorch |\n" + "|---" * 8 + "|")
        rows = []
        for size in options.sizes:
            measured = _measured(engines, style, transfer, size, options)
            for row in measured:
                rows.append(row)
                print(row, flush=True)
    if options.json is not None:
        table = {**about, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(table, indent=1) + "\n")


def _measured(
    engines: list[Engine], style: str, transfer: Transfer, size: Size, options: argparse.Namespace
) -> Iterator[Row]:
    frames = moving_frames(size, FRAMES)
    ways: dict[str, Paint] = {}
    memory: dict[str, Callable[[], float]] = {}
    for engine in engines:
        name = describe(engine)
        at = (engine.backend, engine.device.lower(), size)
        ways[name] = engine.paint
        memory[name] = partial(in_new_process, engine_memory, style, transfer, *at)
    makers = {} if options.no_peers else peers(*read_style(style, transfer), size)
    for name, make in makers.items():
        try:
            ways[name] = make()
            _check_alike(ways[name](frames[0]), engines[0].paint(frames[0]))
        except Exception as error:  # whatever a library raises, the others are measured
            ways.pop(name, None)
            words = str(error).strip().splitlines() or [type(error).__name__]
            print(f"| {size[0]}x{size[1]} | {name}: {words[0][:120]} | | | | | | |")
        memory[name] = partial(in_new_process, peer_memory, style, transfer, size, name)
    contestants = [Contestant(name, paint) for name, paint in ways.items()]
    race(contestants, frames, options.seconds)
    fps = {contestant.name: contestant.fps for contestant in contestants}
    for contestant in contestants:
        name = contestant.name
        beside = fps[name] / fps[REFERENCE] if REFERENCE in fps else None
        ms, ms_95, ms_99 = contestant.milliseconds(50, 95, 99)
        mb = memory[name]()
        yield Row(f"{size[0]}x{size[1]}", name, fps[name], ms, ms_95, ms_99, mb, beside)
    fastest = max(engines, key=lambda engine: fps[describe(engine)])
    through, alone = end_to_end(fastest, size, options.seconds)
    way = f"file to file, {through / alone:.0%} of {describe(fastest)} alone"
    yield Row(f"{size[0]}x{size[1]}", way, through)


def _check_alike(painted: Frames, wanted: Frames) -> None:
    error = float(np.mean((painted.astype(np.float32) - wanted) ** 2))
    if error > 255**2 / 10 ** (ALIKE_DB / 10):
        raise ValueError("it paints another picture")
