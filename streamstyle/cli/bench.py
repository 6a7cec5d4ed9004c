"""Measure frames per second on this machine: of each engine alone, and of a video end to end."""

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import islice
from pathlib import Path
from time import sleep

import numpy as np

from engines import MIN_SIDE, PRECISIONS, Engine, EngineError, Frames
from streamstyle import system
from streamstyle.api import paint_video
from streamstyle.cli.options import add_style, check_levels, parse_size, style_asked_for
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.image_ops import resized
from streamstyle.painting.pixel_budget import limited
from streamstyle.pipeline import Pipeline
from streamstyle.sinks import VideoSink
from streamstyle.sources import Clip, open_video
from streamstyle.sources.pattern import PREFIX
from streamstyle.styles import CLASSIC_STYLE, StyleSpec, engine_label, open_engine
from streamstyle.timing import now_s

REFERENCE = ("onnxruntime", "cpu")
"""Baseline of the comparison: what a program gets that simply loads an ONNX file."""

CANDIDATES = (
    ("openvino", "cpu"),
    REFERENCE,
    ("onnxruntime", "cuda"),
    ("onnxruntime", "tensorrt"),
    ("tensorrt", "cuda"),
)
"""Backends and devices to compare, in each precision, if they run here."""

PATTERN = f"{PREFIX}mandelbrot"
"""Source that is painted unless a clip is given."""

CLIP_FRAMES = (10, 250)
"""Minimum and maximum number of frames in the clip that is painted end to end."""

WARM_UP = 2  # first frames of each engine, which are not counted

TURN_S = 0.1
"""Time that each engine paints before the next one's turn, in seconds."""

PLAN_S = 1800.0
"""Maximum time to wait until a plan is built, in seconds."""

MIN_FRAMES = 3
"""Minimum number of counted frames, however long they take."""

Size = tuple[int, int]
"""(width, height) in pixels."""

Asked = tuple[str, str, str]
"""Backend, device and precision."""

Paint = Callable[[Frames], Frames]


class Contestant:
    """A way to paint a frame, and how long it took each time."""

    def __init__(self, name: str, paint: Paint) -> None:
        self.name = name
        self.seconds: list[float] = []
        self._paint = paint
        self._spent_s = 0.0

    def timed(self, frames: Frames) -> float:
        """Paint frames, and return how many seconds it takes."""
        started_at_s = now_s()
        self._paint(frames)
        return now_s() - started_at_s

    def turn(self, frames: Sequence[Frames]) -> None:
        """Paint for TURN_S and keep the times.

        The first of several times does not count: threads of the previous contestant may still keep
        the cores busy while they wait for work.
        """
        taken: list[float] = []
        spent_s = 0.0
        ends_at_s = now_s() + TURN_S  # a call to another process may outlast its painting
        while spent_s < TURN_S and (not taken or now_s() < ends_at_s):
            number = len(self.seconds) + len(taken)
            taken.append(self.timed(frames[number % len(frames)]))
            spent_s += taken[-1]
        self.seconds += taken[1:] or taken
        self._spent_s += spent_s

    def progress(self, seconds: float) -> float:
        """Return the progress, from 0 to 1 after `seconds` of painting and MIN_FRAMES."""
        return min(1.0, self._spent_s / seconds, len(self.seconds) / MIN_FRAMES)

    @property
    def fps(self) -> float:
        return 1 / float(np.median(self.seconds))

    def milliseconds(self, *percentiles: float) -> list[float]:
        values: list[float] = (1000 * np.percentile(self.seconds, percentiles)).tolist()
        return values


def add_bench_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle bench` to its parser."""
    add_style(parser, CLASSIC_STYLE)
    parser.add_argument("--size", type=parse_size, default=(640, 480), help="such as 1280x720")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each engine")


def bench(options: argparse.Namespace) -> None:
    """Run `streamstyle bench`."""
    style = style_asked_for(options, CLASSIC_STYLE)
    check_levels(style)
    print_comparison(style, options.size, options.seconds)


def print_comparison(style: StyleSpec, size: Size, seconds: float) -> None:
    """Print a Markdown table of the engines' speed, and the speed of a video.

    The engines take turns, for `seconds` each. Then the fastest one paints a video. Raises
    UserError if no engine runs here.
    """
    width, height = size
    check_size(size)
    print(f"{system.hardware()}\n{system.packages()}\n")
    with ExitStack() as stack:
        engines = [stack.enter_context(e) for e in open_candidates(style, size)]
        print(f"{engines[0].card.path.stem}, {width}x{height}, one frame at a time\n")
        contestants = [Contestant(engine_label(engine), engine.paint) for engine in engines]
        race(contestants, moving_frames(size), seconds)
        print("| engine | ms, median | ms, 95 % | fps | relative to onnxruntime on cpu |")
        print("|---|---|---|---|---|")
        fps = dict(zip(engines, (c.fps for c in contestants), strict=True))
        reference = next((fps[e] for e in engines if (e.backend, e.device) == REFERENCE), None)
        for contestant in contestants:
            median, slow = contestant.milliseconds(50, 95)
            ratio = f"{contestant.fps / reference:.1f} x" if reference else "not installed"
            print(
                f"| {contestant.name} | {median:.1f} | {slow:.1f} | {contestant.fps:.1f} | "
                f"{ratio} |"
            )
        fastest = max(engines, key=lambda engine: fps[engine])
        through, alone = end_to_end(fastest, size, seconds)
        print(
            f"\nA {width}x{height} H.264 file painted into another by {engine_label(fastest)}: "
            f"{through:.1f} fps, {100 * through / alone:.0f} % of the engine alone."
        )


def check_size(size: Size) -> None:
    if min(size) < MIN_SIDE:
        raise UserError(f"a size is at least {MIN_SIDE}x{MIN_SIDE}, got {size[0]}x{size[1]}")


def open_candidates(style: StyleSpec, size: Size) -> Iterator[Engine]:
    """Yield the engines of CANDIDATES that run here, ready for frames of `size`.

    Each comes in every precision that it supports. For those that do not run, the reason is
    printed. Raises UserError if no engine runs here.
    """
    opened = 0
    for backend, device in CANDIDATES:
        for precision in PRECISIONS:
            try:
                engine = open_ready(style, (backend, device, precision), size)
            except EngineError as error:
                if precision == PRECISIONS[0]:  # which every backend that runs here supports
                    print(f"{backend} on {device} is left out: {error}")
                    break
                print(f"{backend} on {device} in {precision} is left out: {error}")
                continue
            opened += 1
            yield engine
    print()
    if not opened:
        raise UserError("no engine runs here; see streamstyle doctor")


def open_ready(style: StyleSpec, asked: Asked, size: Size) -> Engine:
    """Open an engine, and wait until its own backend paints frames of `size`.

    Another backend may paint until a plan is built. Raises EngineError if that takes longer than
    PLAN_S, or if the engine can't be opened.
    """
    backend, device, precision = asked
    width, height = size
    engine = limited(open_engine(style, backend, device, precision))
    ends_at_s = now_s() + PLAN_S
    try:
        engine.prepare(height, width)
        while engine.backend != backend:
            if now_s() > ends_at_s:
                raise EngineError(
                    f"{backend} has no plan for {width}x{height} after {PLAN_S / 60:.0f} minutes"
                )
            sleep(0.5)
            engine.prepare(height, width)
    except BaseException:
        engine.close()
        raise
    return engine


def race(contestants: Sequence[Contestant], frames: list[Frames], seconds: float) -> None:
    """Time each contestant until it has painted for `seconds`, and MIN_FRAMES frames.

    The next turn always goes to the contestant with the least progress. Thus a machine that is busy
    for a while favors none, and a slow contestant does not make the others paint as long as itself.
    """
    if not seconds > 0:
        raise UserError(f"the time to measure must be more than 0 s, got {seconds}")
    for contestant in contestants:
        for _ in range(WARM_UP):
            contestant.timed(frames[0])
    while racing := [c for c in contestants if c.progress(seconds) < 1]:
        contestant = min(racing, key=lambda c: c.progress(seconds))
        contestant.turn(frames)


def moving_frames(size: Size, count: int = 25, clip: str = PATTERN) -> list[Frames]:
    """Return the first frames of a clip, at most `count`, each (1, H, W, 3)."""
    with open_video(clip) as source:
        return [resized(f.image, *size)[np.newaxis] for f in islice(source, count)]


def end_to_end(
    engine: Engine, size: Size, seconds: float, clip: str = PATTERN
) -> tuple[float, float]:
    """Return the frames per second from one video file to another, and of the engine alone."""
    alone = Contestant(engine_label(engine), engine.paint)
    race([alone], moving_frames(size, clip=clip), seconds)
    with tempfile.TemporaryDirectory() as folder:
        encoded, painted = Path(folder) / "clip.mp4", Path(folder) / "painted.mp4"
        least, most = CLIP_FRAMES
        length = Fraction(min(most, max(least, round(alone.fps * seconds))), 25)
        with open_video(clip, Clip(duration_seconds=length)) as source:
            assert source.info.video is not None

            def scaled(frame: Frame) -> Frame:
                return frame.with_image(resized(frame.image, *size))

            Pipeline(source, scaled, VideoSink(encoded, source.info.video, source.tracks)).run()
        stats = paint_video(encoded, painted, engine=engine).stats
    return stats.fps, alone.fps
