"""Frames per second on this machine: each engine alone, in one run, and a video end to end."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from engines import MIN_SIDE, Engine, EngineError, Frames
from streamstyle import machine
from streamstyle.errors import UserError
from streamstyle.frame import Frame
from streamstyle.paint import describe, paint_video
from streamstyle.painter import Look
from streamstyle.pipeline import Pipeline
from streamstyle.pixels import resized
from streamstyle.sinks import VideoSink
from streamstyle.sources import Clip, open_video
from streamstyle.sources.pattern import PREFIX
from streamstyle.styles import find_style, open_engine
from streamstyle.timing import now_s

CANDIDATES = (("openvino", "cpu"), ("onnxruntime", "cpu"), ("onnxruntime", "cuda"))
"""Backends and devices to compare, where they run; the second is what the others are set beside,
as it is what a program that just loads an ONNX file gets."""

MAX_CLIP = 250
"""Frames of the clip painted end to end, at most."""

WARM_UP = 2  # frames of each engine that are not counted


@dataclass
class Contestant:
    engine: Engine
    seconds: list[float] = field(default_factory=list)

    @property
    def fps(self) -> float:
        return 1 / float(np.median(self.seconds))


def bench(style: str | Path, size: tuple[int, int], seconds: float) -> None:
    """Print a Markdown table: engines taking turns, frame by frame, for `seconds` each, so that a
    machine that is busy for a while favours none; then a video through the fastest one."""
    width, height = size
    if min(size) < MIN_SIDE:
        raise UserError(f"a size is at least {MIN_SIDE}x{MIN_SIDE}, got {width}x{height}")
    print(f"{machine.cpu()}\n{machine.packages()}\n")
    print(f"{find_style(style)[0].path.stem}, {width}x{height}, one frame at a time\n")
    with ExitStack() as stack:
        contestants = [Contestant(stack.enter_context(e)) for e in open_candidates(style)]
        race(contestants, moving_frames(size), seconds)
        print("| engine | ms, median | ms, 95 % | fps | beside onnxruntime's CPU |")
        print("|---|---|---|---|---|")
        reference = next((c.fps for c in contestants if _is_reference(c.engine)), None)
        for contestant in contestants:
            median, slow = np.percentile(contestant.seconds, (50, 95)) * 1000
            ratio = f"{contestant.fps / reference:.1f} x" if reference else "not installed"
            print(
                f"| {describe(contestant.engine)} | {median:.1f} | {slow:.1f} | "
                f"{contestant.fps:.1f} | {ratio} |"
            )
        fastest = max(contestants, key=lambda c: c.fps)
        _end_to_end(fastest, style, size, seconds)


def open_candidates(style: str | Path) -> Iterator[Engine]:
    """The engines of CANDIDATES that run here."""
    opened = 0
    for backend, device in CANDIDATES:
        try:
            engine = open_engine(style, backend, device)
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
            contestant.engine.paint(frames[0])
    turn = 0
    while any(sum(contestant.seconds) < seconds for contestant in contestants):
        frame = frames[turn % len(frames)]
        for contestant in contestants:
            started_at_s = now_s()
            contestant.engine.paint(frame)
            contestant.seconds.append(now_s() - started_at_s)
        turn += 1


def moving_frames(size: tuple[int, int], count: int = 25) -> list[Frames]:
    """The first second of a pattern, each (1, H, W, 3)."""
    with open_video(f"{PREFIX}mandelbrot", Clip(duration_seconds=Fraction(count, 25))) as source:
        return [resized(frame.image, *size)[np.newaxis] for frame in source]


def _is_reference(engine: Engine) -> bool:
    return (engine.backend, engine.device) == CANDIDATES[1]


def _end_to_end(
    fastest: Contestant, style: str | Path, size: tuple[int, int], seconds: float
) -> None:
    """Paint an encoded clip into another with the engine that has just been timed."""
    with tempfile.TemporaryDirectory() as folder:
        clip, painted = Path(folder) / "clip.mp4", Path(folder) / "painted.mp4"
        length = Fraction(min(MAX_CLIP, max(25, round(fastest.fps * seconds))), 25)
        with open_video(f"{PREFIX}mandelbrot", Clip(duration_seconds=length)) as source:
            assert source.info.video is not None

            def scaled(frame: Frame) -> Frame:
                return frame.with_image(resized(frame.image, *size))

            Pipeline(source, scaled, VideoSink(clip, source.info.video, source.tracks)).run()
        stats = paint_video(clip, painted, style, engine=fastest.engine, look=Look()).stats
    alone = Contestant(fastest.engine)
    race([alone], moving_frames(size), seconds)
    print(
        f"\nA {size[0]}x{size[1]} H.264 file painted into another by {describe(fastest.engine)}: "
        f"{stats.fps:.1f} fps, {100 * stats.fps / alone.fps:.0f} % of the engine alone."
    )
