"""Frames per second on this machine: each engine alone, in one run, and a video end to end."""

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
from streamstyle.api import describe, paint_video
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.image_ops import resized
from streamstyle.painting.pixel_budget import limited
from streamstyle.pipeline import Pipeline
from streamstyle.sinks import VideoSink
from streamstyle.sources import Clip, open_video
from streamstyle.sources.pattern import PREFIX
from streamstyle.styles import StyleSpec, open_engine
from streamstyle.timing import now_s

REFERENCE = ("onnxruntime", "cpu")
"""What the others are set beside, as it is what a program that just loads an ONNX file gets."""

CANDIDATES = (
    ("openvino", "cpu"),
    REFERENCE,
    ("onnxruntime", "cuda"),
    ("onnxruntime", "tensorrt"),
    ("tensorrt", "cuda"),
)
"""Backends and devices to compare, in each precision, where they run."""

PATTERN = f"{PREFIX}mandelbrot"
"""What is painted unless a clip is given."""

CLIP_FRAMES = (10, 250)
"""Fewest and most frames of the clip painted end to end."""

WARM_UP = 2  # frames of each engine that are not counted

TURN_S = 0.1
"""That each engine paints for before it is the next one's turn."""

PLAN_S = 1800.0
"""For a plan to be built, at most."""

MIN_FRAMES = 3
"""That are counted, however long they take."""

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
        """Seconds that it takes."""
        started_at_s = now_s()
        self._paint(frames)
        return now_s() - started_at_s

    def turn(self, frames: Sequence[Frames]) -> None:
        """Paint for TURN_S. The first of several does not count: threads of the one before may
        still be waiting for work, awake, on the cores.
        """
        taken: list[float] = []
        spent_s = 0.0
        ends_at_s = now_s() + TURN_S  # asking another process may take longer than it paints
        while spent_s < TURN_S and (not taken or now_s() < ends_at_s):
            number = len(self.seconds) + len(taken)
            taken.append(self.timed(frames[number % len(frames)]))
            spent_s += taken[-1]
        self.seconds += taken[1:] or taken
        self._spent_s += spent_s

    def progress(self, seconds: float) -> float:
        """1 when it has had `seconds` and MIN_FRAMES."""
        return min(1.0, self._spent_s / seconds, len(self.seconds) / MIN_FRAMES)

    @property
    def fps(self) -> float:
        return 1 / float(np.median(self.seconds))

    def milliseconds(self, *percentiles: float) -> list[float]:
        values: list[float] = (1000 * np.percentile(self.seconds, percentiles)).tolist()
        return values


def bench(style: StyleSpec, size: Size, seconds: float) -> None:
    """Print a Markdown table: engines taking turns for `seconds` each, then a video through the
    fastest one.
    """
    width, height = size
    check_size(size)
    print(f"{system.hardware()}\n{system.packages()}\n")
    with ExitStack() as stack:
        engines = [stack.enter_context(e) for e in open_candidates(style, size)]
        print(f"{engines[0].card.path.stem}, {width}x{height}, one frame at a time\n")
        contestants = [Contestant(describe(engine), engine.paint) for engine in engines]
        race(contestants, moving_frames(size), seconds)
        print("| engine | ms, median | ms, 95 % | fps | beside onnxruntime's CPU |")
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
            f"\nA {width}x{height} H.264 file painted into another by {describe(fastest)}: "
            f"{through:.1f} fps, {100 * through / alone:.0f} % of the engine alone."
        )


def check_size(size: Size) -> None:
    if min(size) < MIN_SIDE:
        raise UserError(f"a size is at least {MIN_SIDE}x{MIN_SIDE}, got {size[0]}x{size[1]}")


def open_candidates(style: StyleSpec, size: Size) -> Iterator[Engine]:
    """The engines of CANDIDATES that run here, in each precision that they can, ready for frames
    of `size`.
    """
    opened = 0
    for backend, device in CANDIDATES:
        for precision in PRECISIONS:
            try:
                engine = open_ready(style, (backend, device, precision), size)
            except EngineError as error:
                if precision == PRECISIONS[0]:  # in which every backend can, if it runs here
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
    """An engine that paints frames of `size` itself: where another one does until its plan is
    built, that is waited for.
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
    """Time each contestant until it has had `seconds`, and MIN_FRAMES. The turn is always that of
    the one with the least behind it, so that a machine that is busy for a while favours none, and
    a slow one does not make the others paint as long as it does.
    """
    if not seconds > 0:
        raise UserError(f"a time to measure is more than 0 s, got {seconds}")
    for contestant in contestants:
        for _ in range(WARM_UP):
            contestant.timed(frames[0])
    while racing := [c for c in contestants if c.progress(seconds) < 1]:
        contestant = min(racing, key=lambda c: c.progress(seconds))
        contestant.turn(frames)


def moving_frames(size: Size, count: int = 25, clip: str = PATTERN) -> list[Frames]:
    """The first frames of a clip, at most `count`, each (1, H, W, 3)."""
    with open_video(clip) as source:
        return [resized(f.image, *size)[np.newaxis] for f in islice(source, count)]


def end_to_end(
    engine: Engine, size: Size, seconds: float, clip: str = PATTERN
) -> tuple[float, float]:
    """Frames per second of an encoded clip painted into another, and of the engine alone."""
    alone = Contestant(describe(engine), engine.paint)
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
