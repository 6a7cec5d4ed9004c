"""Report which engines run here, which do not, and the command that fixes it."""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from engines import EngineError
from engines.availability import (
    Problem,
    cuda_problem,
    onnxruntime_problem,
    onnxruntime_tensorrt_problem,
    openvino_problem,
    tensorrt_problem,
)
from engines.tensorrt_ import plan_cache
from streamstyle import system
from streamstyle.errors import UserError
from streamstyle.image_ops import load_opencv
from streamstyle.styles import engine_label, open_engine
from streamstyle.timing import now_s

_CHECKS: tuple[tuple[str, str, Callable[[], Problem | None]], ...] = (
    ("openvino", "cpu", openvino_problem),
    ("onnxruntime", "cpu", onnxruntime_problem),
    ("onnxruntime", "cuda", cuda_problem),
    ("onnxruntime", "tensorrt", onnxruntime_tensorrt_problem),
    ("tensorrt", "cuda", tensorrt_problem),
)

SIDE = 256  # pixels of the frame that each engine has to paint


def add_doctor_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `streamstyle doctor` to its parser."""
    parser.add_argument("--json", action="store_true", help="print it as JSON, for a bug report")
    parser.add_argument(
        "--forget-plans", action="store_true", help="only delete what TensorRT has built for models"
    )


def doctor(options: argparse.Namespace) -> None:
    """Run `streamstyle doctor`."""
    if options.forget_plans:
        print(forget_plans())
    elif options.json:
        print(json.dumps([asdict(finding) for finding in examine()], indent=2))
    else:
        for finding in examine():
            print(finding)


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    subject: str
    """The machine, the packages, or a backend and its device."""
    works: bool
    text: str
    """The result, in one sentence."""
    fix: str | None = None
    """How to make it work; None if nothing is known."""

    def __str__(self) -> str:
        """The lines that a terminal shows."""
        fix = "" if self.fix is None else f"\n    {self.fix}"
        return f"{self.subject}: {self.text}{fix}"


def examine() -> Iterator[Finding]:
    """Look at what runs here, and yield each finding as soon as it is known."""
    yield Finding("machine", True, system.hardware())
    yield Finding("packages", True, system.packages())
    try:
        load_opencv()
    except UserError as error:
        yield Finding("opencv", False, str(error))
    for backend, device, problem_of in _CHECKS:
        yield _try(backend, device, problem_of)
    try:
        with open_engine() as engine:
            yield Finding("--engine auto", True, f"takes {engine_label(engine)}")
    except EngineError as error:
        yield Finding("--engine auto", False, f"finds nothing: {error}")


def forget_plans() -> str:
    """Delete all plans that TensorRT has built here, and return a line for the user."""
    return f"deleted {plan_cache.forget_all() / 1e6:.0f} MB in {plan_cache.FOLDER}"


def _try(backend: str, device: str, problem_of: Callable[[], Problem | None]) -> Finding:
    subject = f"{backend} on {device}"
    if (problem := problem_of()) is not None:
        return Finding(subject, False, f"not used: {problem.what}", problem.fix)
    try:
        with open_engine(backend=backend, device=device) as engine:
            frames = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
            engine.paint(frames)
            started_at_s = now_s()
            engine.paint(frames)
            milliseconds = (now_s() - started_at_s) * 1000
            how = engine.precision
            if engine.backend != backend:
                how += f", by {engine.backend} until its plan is built, which takes minutes"
            text = f"works, in {how}: {milliseconds:.0f} ms for {SIDE}x{SIDE}"
            return Finding(subject, True, text)
    except EngineError as error:
        return Finding(subject, False, f"fails: {error}")
