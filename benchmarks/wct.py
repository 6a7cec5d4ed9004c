"""Measure how exact, how fast and how steady WCT's transforms are.

Whitening by Newton-Schulz iterations in float32, as a graph would compute it, is compared with the
eigendecomposition in float64 of engines/wct/transform.py, on the features of real photographs. The
time of a frame is the engine's alone; the time of a new picture includes reading its file. The
warping error is given for WCT as published, which makes a transform for each frame, and for ours,
alone and steadied as in `streamstyle live`.

Usage: python -m benchmarks wct PICTURE --photos PHOTOS --clips CLIP...
"""

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.warping import motions_of, read_frames, warping_error
from engines import DEFAULT_LEVELS, Engine, Style, open_engine, style_encoder, style_of
from engines.wct import transform as wct
from export.data.photos import list_photos
from streamstyle import system
from streamstyle.frame import Image
from streamstyle.painting.stabilizer import Stabilizer
from streamstyle.styles import PICTURE_MODEL, read_picture, shipped_models

ITERATIONS = (8, 16, 32)
SIZE = (480, 640)
ROUNDS = 15
SECONDS = 2
STEADY = (0.5, 1.0)

PUBLISHED_FLOOR = 1e-5
"""Floor of the authors' code, which drops smaller variances and adds nothing to the others."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path, help="whose style to paint in")
    parser.add_argument("--model", type=Path, default=shipped_models().get(PICTURE_MODEL))
    parser.add_argument("--photos", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--clips", type=Path, nargs="+", required=True)
    parser.add_argument("--alpha", type=float, default=0.8)
    options = parser.parse_args()
    print(f"{system.hardware()}\n{system.packages()}\n")
    photos = [read_picture(path) for path in list_photos(options.photos)]
    picture = read_picture(options.picture)
    # In fp32, because without a floor whitening would amplify bfloat16's rounding errors.
    with (
        open_engine(options.model) as engine,
        open_engine(options.model, precision="fp32") as exact,
    ):
        _exactness(engine, photos)
        every = tuple(sorted(engine.card.parts, reverse=True))
        for levels in dict.fromkeys((DEFAULT_LEVELS, every)):
            style = style_of(engine.card, picture, levels, options.alpha)
            _speed(engine, style, levels, picture)
            _switching(engine, options.picture, levels)
            _steadiness(engine, exact, style, levels, options.clips)


def newton_schulz(covariance: NDArray[Any], iterations: int) -> NDArray[Any]:
    """Return the inverse square root, computed by matrix products only.

    The iteration (Higham, Functions of Matrices, 2008, equation 6.35) converges for a matrix that
    is divided by its norm.
    """
    norm = np.float32(np.linalg.norm(covariance))
    identity: NDArray[Any] = np.eye(len(covariance), dtype=np.float32)
    root, inverse = covariance / norm, identity
    for _ in range(iterations):
        step = (3 * identity - inverse @ root) / 2
        root, inverse = root @ step, step @ inverse
    return np.asarray(inverse / np.sqrt(norm), np.float32)


def _exactness(engine: Engine, photos: list[Image]) -> None:
    print("| level | condition | " + " | ".join(f"{n} steps" for n in ITERATIONS) + " | eigh ms |")
    print("|---|---|" + "---|" * (len(ITERATIONS) + 1))
    for level in engine.card.parts:
        errors: dict[int, list[float]] = {n: [] for n in ITERATIONS}
        conditions, times = [], []
        for photo in photos:
            covariance = style_encoder.statistics_at(engine.card, photo, level).covariance[0]
            variances = np.linalg.eigvalsh(covariance).astype(np.float64)
            floored = covariance + wct.floor(variances) * np.eye(len(covariance))
            conditions.append(float(np.linalg.cond(floored)))
            began = time.perf_counter()
            exact = wct.whitening(covariance)
            times.append(time.perf_counter() - began)
            for n in ITERATIONS:
                difference = newton_schulz(floored.astype(np.float32), n) - exact
                errors[n].append(float(np.linalg.norm(difference) / np.linalg.norm(exact)))
        cells = [f"{median(errors[n]):.1e}, at most {max(errors[n]):.1e}" for n in ITERATIONS]
        print(
            f"| {level} | {median(conditions):.0f} | {' | '.join(cells)} | "
            f"{1000 * median(times):.1f} |",
            flush=True,
        )


def _speed(engine: Engine, style: Style, levels: tuple[str, ...], picture: Image) -> None:
    height, width = SIZE
    frame = np.resize(picture, (1, height, width, 3))
    engine.prepare(height, width, style=style)
    engine.reset_state()
    engine.paint(frame, style)
    times: dict[str, list[float]] = {"ours": [], "a transform for each frame": []}
    for _ in range(ROUNDS):  # taking turns, so that a noisy machine favors none
        for way, taken in times.items():
            if way != "ours":
                engine.reset_state()
            began = time.perf_counter()
            engine.paint(frame, style)
            taken.append(time.perf_counter() - began)
    shown = ", ".join(f"{way} {1000 * median(taken):.0f} ms" for way, taken in times.items())
    print(f"\n{', '.join(levels)}, {width}x{height}: {shown} a frame\n")


def _switching(engine: Engine, picture: Path, levels: tuple[str, ...]) -> None:
    """Print the time from a picture's file to its style, and to the first frame in that style."""
    height, width = SIZE
    frame = np.zeros((1, height, width, 3), np.uint8)
    to_style, to_frame = [], []
    style_encoder._level_graph.cache_clear()  # or the first time would find the graphs loaded
    for _ in range(ROUNDS):
        began = time.perf_counter()
        style = style_of(engine.card, read_picture(picture), levels)
        to_style.append(time.perf_counter() - began)
        engine.paint(frame, style)
        to_frame.append(time.perf_counter() - began)
    print(
        f"A new picture, {', '.join(levels)}: {1000 * to_style[0]:.0f} ms the first time, "
        f"{1000 * median(to_style):.0f} ms then, {1000 * median(to_frame):.0f} ms with a frame\n"
    )


def _steadiness(
    engine: Engine, exact: Engine, style: Style, levels: tuple[str, ...], clips: list[Path]
) -> None:
    steadied = [f"ours, steady {amount}" for amount in STEADY]
    print(f"| {', '.join(levels)} | " + " | ".join(["for each frame", "ours", *steadied]) + " |")
    print("|---|" + "---|" * (2 + len(STEADY)))
    for clip in clips:
        frames = read_frames(clip, SECONDS)
        motions = motions_of(frames)
        engine.reset_state()
        ours = [engine.paint(frame[np.newaxis], style)[0] for frame in frames]
        ours_floor, wct.FLOOR = wct.FLOOR, PUBLISHED_FLOOR
        for_each = []
        for frame in frames:
            exact.reset_state()
            for_each.append(exact.paint(frame[np.newaxis], style)[0])
        wct.FLOOR = ours_floor
        videos = [for_each, ours]
        for amount in STEADY:
            steady = Stabilizer()
            pairs = zip(frames, ours, strict=True)
            videos.append([steady(frame, painted, amount) for frame, painted in pairs])
        errors = [warping_error(video, motions) for video in videos]
        cells = [f"{error:.5f} ({error / errors[0]:.0%})" for error in errors]
        print(f"| {clip.stem} | {' | '.join(cells)} |", flush=True)
