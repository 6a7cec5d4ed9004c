"""Frames per second on this machine: each engine alone, in one run, and a video end to end."""

import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from engines import MIN_SIDE, Engine, EngineError, Frames
from streamstyle import machine
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.limited import limited
from streamstyle.paint import describe, paint_video
from streamstyle.pipeline import Pipeline
from streamstyle.pixels import resized
from streamstyle.sinks import VideoSink
from streamstyle.sources import Clip, open_video
from streamstyle.sources.pattern import PREFIX
from streamstyle.styles import Transfer, open_engine
from streamstyle.timing import now_s

REFERENCE = ("onnxruntime", "cpu")
"""What the others are set beside, as it is what a program that just loads an ONNX file gets."""

CANDIDATES = (("openvino", "cpu"), REFERENCE, ("onnxruntime", "cuda"))
"""Backends and devices to compare, where they run."""

MAX_CLIP = 250
"""Frames of the clip painted end to end, at most."""

WARM_UP = 2  # frames of each engine that are not counted


Paint = Callable[[Frames], Frames]


@dataclass
class Contestant:
    """A way to paint a frame, and how long it took each time."""

    name: str
    paint: Paint
    seconds: list[float] = field(default_factory=list)

    @property
    def fps(self) -> float:
        return 1 / float(np.median(self.seconds))

    def milliseconds(self, *percentiles: float) -> list[float]:
        values: list[float] = (1000 * np.percentile(self.seconds, percentiles)).tolist()
        return values


def bench(
    style: str | Path, size: tuple[int, int], seconds: float, transfer: Transfer = Transfer()
) -> None:
    """Print a Markdown table: engines taking turns, frame by frame, for `seconds` each, so that a
    machine that is busy for a while favours none; then a video through the fastest one."""
    width, height = size
    if min(size) < MIN_SIDE:
        raise UserError(f"a size is at least {MIN_SIDE}x{MIN_SIDE}, got {width}x{height}")
    print(f"{machine.cpu()}\n{machine.packages()}\n")
    with ExitStack() as stack:
        engines = [stack.enter_context(e) for e in open_candidates(style, transfer)]
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


def open_candidates(style: str | Path, transfer: Transfer = Transfer()) -> Iterator[Engine]:
    """The engines of CANDIDATES that run here."""
    opened = 0
    for backend, device in CANDIDATES:
        try:
            engine = limited(open_engine(style, backend, device, transfer=transfer))
        except EngineError as error:
            print(f"{backend} on {device} is left out: {error}\n")
            continue
        opened += 1
        yield engine
    if not opened:
        raise UserError("no engine runs here; see streamstyle doctor")


def race(contestants: list[Contestant], frames: list[Frames], seconds: float) -> None:
    """Time each contestant on one frame in turn, until all have had `seconds`."""
    for contestant in contestants:
        for _ in range(WARM_UP):
            contestant.paint(frames[0])
    turn = 0
    while any(sum(contestant.seconds) < seconds for contestant in contestants):
        frame = frames[turn % len(frames)]
        for contestant in contestants:
            started_at_s = now_s()
            contestant.paint(frame)
            contestant.seconds.append(now_s() - started_at_s)
        turn += 1


def moving_frames(size: tuple[int, int], count: int = 25) -> list[Frames]:
    """The first second of a pattern, each (1, H, W, 3)."""
    with open_video(f"{PREFIX}mandelbrot", Clip(duration_seconds=Fraction(count, 25))) as source:
        return [resized(frame.image, *size)[np.newaxis] for frame in source]


def in_new_process(function: Callable[..., float], *arguments: object) -> float:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def engine_memory(
    style: str | Path, transfer: Transfer, backend: str, device: str, size: tuple[int, int]
) -> float:
    """MB that this process had at most, when it had painted two frames."""
    with limited(open_engine(style, backend, device, transfer=transfer)) as engine:
        return peak_after(engine.paint, size)


def peak_after(paint: Paint, size: tuple[int, int]) -> float:
    """MB that this process had at most, when `paint` has painted two frames."""
    frame = np.zeros((1, size[1], size[0], 3), np.uint8)
    for _ in range(2):
        paint(frame)
    status = Path("/proc/self/status")
    if status.exists():  # where getrusage tells of the process that started this one, too
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024 / 1e6
    import resource  # which Windows lacks

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def end_to_end(engine: Engine, size: tuple[int, int], seconds: float) -> tuple[float, float]:
    """Frames per second of an encoded clip painted into another, and of the engine alone."""
    alone = Contestant(describe(engine), engine.paint)
    race([alone], moving_frames(size), seconds)
    with tempfile.TemporaryDirectory() as folder:
        clip, painted = Path(folder) / "clip.mp4", Path(folder) / "painted.mp4"
        length = Fraction(min(MAX_CLIP, max(25, round(alone.fps * seconds))), 25)
        with open_video(f"{PREFIX}mandelbrot", Clip(duration_seconds=length)) as source:
            assert source.info.video is not None

            def scaled(frame: Frame) -> Frame:
                return frame.with_image(resized(frame.image, *size))

            Pipeline(source, scaled, VideoSink(clip, source.info.video, source.tracks)).run()
        stats = paint_video(clip, painted, engine=engine).stats
    return stats.fps, alone.fps
