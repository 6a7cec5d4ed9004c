"""What runs here, what does not, and the command that changes it."""

from collections.abc import Callable, Iterator

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
from streamstyle.api import describe
from streamstyle.errors import UserError
from streamstyle.image_ops import load_opencv
from streamstyle.styles import open_engine
from streamstyle.timing import now_s

_CHECKS: tuple[tuple[str, str, Callable[[], Problem | None]], ...] = (
    ("openvino", "cpu", openvino_problem),
    ("onnxruntime", "cpu", onnxruntime_problem),
    ("onnxruntime", "cuda", cuda_problem),
    ("onnxruntime", "tensorrt", onnxruntime_tensorrt_problem),
    ("tensorrt", "cuda", tensorrt_problem),
)

SIDE = 256  # pixels of the frame that each engine has to paint


def examine() -> Iterator[str]:
    """Lines for the user, as they become known."""
    yield f"machine: {system.hardware()}"
    yield f"packages: {system.packages()}"
    try:
        load_opencv()
    except UserError as error:
        yield str(error)
    for backend, device, problem_of in _CHECKS:
        yield f"{backend} on {device}: {_try(backend, device, problem_of)}"
    try:
        with open_engine() as engine:
            yield f"--engine auto takes: {describe(engine)}"
    except EngineError as error:
        yield f"--engine auto finds nothing: {error}"


def forget_plans() -> str:
    """Delete all that TensorRT has built here; a line for the user."""
    return f"deleted {plan_cache.forget_all() / 1e6:.0f} MB in {plan_cache.FOLDER}"


def _try(backend: str, device: str, problem_of: Callable[[], Problem | None]) -> str:
    if (problem := problem_of()) is not None:
        return f"not used: {problem.what}\n    {problem.fix}"
    try:
        with open_engine(backend=backend, device=device) as engine:
            frames = np.random.default_rng(0).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
            engine.paint(frames)
            started_at_s = now_s()
            engine.paint(frames)
            milliseconds = (now_s() - started_at_s) * 1000
            how = engine.precision
            if engine.backend != backend:
                how += f", on {engine.backend} for the minutes in which its plan is built"
            return f"works, in {how}: {milliseconds:.0f} ms for {SIDE}x{SIDE}"
    except EngineError as error:
        return f"fails: {error}"
