"""The conformance suite that every backend has to pass."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from engines import (
    BACKENDS,
    ZOO,
    Engine,
    EngineError,
    Frames,
    open_engine,
    read_card,
)
from engines.openvino_.engine import KEPT_SIZES
from tests.helpers.frames import MODELS, grainy, inputs_for, picture, psnr
from tests.helpers.models import write_tinter

pytestmark = pytest.mark.slow

SIZES = [(359, 641), (16, 16), (1080, 1920), (640, 360), (17, 31)]
"""Pairs (height, width): odd, the smallest, large, portrait, small and odd."""

MIN_PSNR_DB = {"fp32": 55.0, "fp16": 48.0, "bf16": 48.0, "int8": 38.0}
"""Minimum PSNR between two backends on one frame, by the coarser of their precisions."""

BF16_WHITENED_DB = 30.0
"""Minimum PSNR of WCT in bf16, whose whitening amplifies small differences.

It reaches 40 dB on photographs, and 31 to 35 on the waves of this suite.
"""

BF16_TINY_DB = 20.0
"""Minimum PSNR of WCT in bf16 at 16x16 pixels, where relu4_1 has only four places."""

FP16_FEW_DB = 36.0
"""Minimum PSNR of WCT in fp16 if relu4_1 has fewer places than features, so that the floor decides.

A frame of 16x16 reaches 39 dB, 17x31 reaches 45, larger frames 52 and more.
"""


def _usable(backend: str) -> list[str]:
    """Return the precisions that a backend supports on this machine's CPU."""
    usable = []
    for precision in ("fp32", "bf16", "fp16", "int8"):
        try:
            open_engine(ZOO / "medium.onnx", backend, "cpu", precision).close()
        except EngineError:
            continue
        usable.append(precision)
    return usable


CPU_BACKENDS = ["openvino", "onnxruntime"]

CUDA = ("onnxruntime", "cuda")

PLACES = [*((backend, "cpu") for backend in CPU_BACKENDS), CUDA]
"""Pairs of backend and device."""


@pytest.fixture(params=CPU_BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=PLACES, ids="-".join)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    if request.param[1] == "cuda":
        request.getfixturevalue("cuda")
    backend, device = request.param
    return backend, device


@pytest.fixture
def engine(place: tuple[str, str], inverter_path: Path) -> Iterator[Engine]:
    with open_engine(inverter_path, *place, "fp32") as opened:
        yield opened


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_size_comes_out_as_it_went_in(engine: Engine, height: int, width: int) -> None:
    frames = picture(height, width)
    painted = engine.paint(frames)
    assert painted.dtype == np.uint8
    assert np.array_equal(painted, 255 - frames)


def _least_db(path: Path, precision: str, height: int) -> float:
    card = read_card(path)
    if precision == "bf16" and card.family == "wct" and height <= 16:
        return BF16_TINY_DB
    if precision == "fp16" and card.family == "wct" and height <= 17:
        return FP16_FEW_DB
    if precision == "bf16" and card.family == "wct":
        return BF16_WHITENED_DB
    return MIN_PSNR_DB[precision]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_backends_paint_the_same_picture(path: Path, height: int, width: int) -> None:
    frames = grainy(path, height, width)
    with open_engine(path, "onnxruntime", "cpu", "fp32") as reference:
        expected = reference.paint(frames, inputs_for(path))
    for precision in set(_usable("openvino")) & set(MIN_PSNR_DB):
        if precision == "int8" and not read_card(path).ranges:
            continue
        with open_engine(path, "openvino", "cpu", precision) as engine:
            assert engine.precision == precision
            painted = engine.paint(frames, inputs_for(path))
        assert psnr(painted, expected) > _least_db(path, precision, height), precision


def test_attention_between_few_patches_is_the_same_each_time() -> None:
    """With only four patches, OpenVINO's attention in bfloat16 once differed from run to run."""
    if "bf16" not in _usable("openvino"):
        pytest.skip("this processor does not compute in bfloat16")
    path = ZOO / "stytr2.onnx"
    for size in ((16, 16), (16, 24)):
        frames = grainy(path, *size)
        with open_engine(path, "onnxruntime", "cpu", "fp32") as reference:
            expected = reference.paint(frames, inputs_for(path))
        with open_engine(path, "openvino", "cpu", "bf16") as engine:
            painted = [engine.paint(frames, inputs_for(path)) for _ in range(5)]
        assert all(np.array_equal(painted[0], other) for other in painted[1:])
        assert psnr(painted[0], expected) > MIN_PSNR_DB["bf16"]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_cuda_paints_the_same_picture(
    cuda: None, path: Path, height: int, width: int, precision: str
) -> None:
    frames = grainy(path, height, width)
    with open_engine(path, "onnxruntime", "cpu", "fp32") as reference:
        expected = reference.paint(frames, inputs_for(path))
    with open_engine(path, *CUDA, precision) as engine:
        engine.prepare(*frames.shape[1:3], style=inputs_for(path))
        painted = engine.paint(frames, inputs_for(path))
    # The limit for bf16 applies: fp32 on a GPU means TF32, which has no more bits than fp16.
    assert psnr(painted, expected) > _least_db(path, "bf16", height)


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_what_ships_paints(path: Path) -> None:
    frames = picture(240, 320)
    seen: list[Frames] = []
    with open_engine(path) as engine:
        for style in range(len(read_card(path).styles) or 2):
            painted = engine.paint(frames, inputs_for(path, style)).astype(float)
            assert np.abs(painted - frames).mean() > 20  # the photo is changed
            assert painted.std(axis=(0, 1, 2)).max() > 20  # more than one color
            assert all(np.abs(painted - other).mean() > 8 for other in seen)  # styles differ
            seen.append(painted)


def test_batch(engine: Engine) -> None:
    frames = np.concatenate([picture(48, 64, seed=n) for n in range(3)])
    assert np.array_equal(engine.paint(frames), 255 - frames)


def test_result_is_the_callers(engine: Engine) -> None:
    first, second = picture(48, 64, seed=1), picture(48, 64, seed=2)
    for _ in range(2):  # the first frame of a size, and one after it
        painted = engine.paint(first)
        kept = painted.copy()
        engine.paint(second)
        assert np.array_equal(painted, kept)
        painted[:] = 0  # the result is writable
        assert np.array_equal(engine.paint(first), kept)


def test_frames_are_only_read(engine: Engine) -> None:
    frames = picture(48, 64)
    frames.flags.writeable = False
    for _ in range(2):
        assert np.array_equal(engine.paint(frames), 255 - frames)


def test_views_need_not_be_contiguous(engine: Engine) -> None:
    frames = picture(96, 128)[:, ::2, ::-2]
    for _ in range(2):
        assert np.array_equal(engine.paint(frames), 255 - frames)


def test_more_sizes_than_are_kept(engine: Engine) -> None:
    for _ in range(2):
        for side in range(16, 16 + KEPT_SIZES + 2):
            frames = picture(side, side)
            assert np.array_equal(engine.paint(frames), 255 - frames)


def test_preparing_on_another_thread_while_painting(engine: Engine) -> None:
    thread = threading.Thread(
        target=lambda: [engine.prepare(side, 2 * side) for side in range(32, 64, 4)]
    )
    thread.start()
    frames = picture(48, 64)
    while thread.is_alive():
        assert np.array_equal(engine.paint(frames), 255 - frames)
    thread.join()


CLOSED_ON_ANOTHER_THREAD = """
import signal, sys, threading
from pathlib import Path
from engines import open_engine

engines = [open_engine(Path(sys.argv[1]), sys.argv[2], "cpu", "fp32")]
thread = threading.Thread(target=lambda: engines.pop().close())
thread.start()
thread.join()
signal.signal(signal.SIGTERM, lambda *_: print("handled"))
signal.raise_signal(signal.SIGTERM)
"""


def test_several_threads_paint_at_once(engine: Engine) -> None:
    """As many threads as the engine allows paint their own frames; after that one paints again."""
    threads = engine.set_concurrency(3)
    assert threads == (3 if engine.backend == "openvino" else 2 if engine.device == "cuda" else 1)
    frames = [picture(32 + 8 * (n % 2), 48, seed=n) for n in range(24)]
    with ThreadPoolExecutor(threads) as pool:
        painted = list(pool.map(engine.paint, frames))
    assert engine.set_concurrency(1) == 1
    for before, after in zip(frames, painted, strict=True):
        assert np.array_equal(after, 255 - before)
        assert np.array_equal(engine.paint(before), after)


def test_signals_arrive_after_another_thread_has_closed(backend: str, inverter_path: Path) -> None:
    """Runs in its own process, because Ctrl-C once killed the process here without a message."""
    command = [sys.executable, "-c", CLOSED_ON_ANOTHER_THREAD, str(inverter_path), backend]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (0, "handled\n")


def test_style_inputs(place: tuple[str, str], tmp_path: Path) -> None:
    write_tinter(tmp_path / "tinter.onnx")
    frames = picture(48, 64)
    with open_engine(tmp_path / "tinter.onnx", *place, "fp32") as engine:
        engine.prepare(48, 64)
        for tint in ((1, 0, 0), (0, 0.5, 1)):
            style = {"tint": np.array(tint, np.float32)}
            expected = (frames * style["tint"]).astype(np.uint8)
            difference = engine.paint(frames, style).astype(int) - expected
            assert np.abs(difference).max() <= 1
        with pytest.raises(EngineError, match=r"style inputs are \['tint'\], got \[\]"):
            engine.paint(frames)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((1, 48, 64, 3), np.float32), "uint8 frames.*got float32"),
        (np.zeros((48, 64, 3), np.uint8), r"got uint8 \(48, 64, 3\)"),
        (np.zeros((1, 48, 64, 4), np.uint8), r"got uint8 \(1, 48, 64, 4\)"),
        (np.zeros((1, 15, 64, 3), np.uint8), "64x15 is too small"),
    ],
)
def test_frames_outside_the_contract(engine: Engine, frames: Frames, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        engine.paint(frames)


def test_closed(engine: Engine) -> None:
    engine.close()
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.paint(picture(16, 16))


def test_unknown_device_is_an_error_that_lists_the_known(backend: str, inverter_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no device toaster.*cpu"):
        open_engine(inverter_path, backend, "toaster")


def test_precision_that_cannot_be_had_is_an_error(backend: str, inverter_path: Path) -> None:
    """OpenVINO by itself would silently use another precision."""
    if "fp16" in _usable(backend):
        pytest.skip("this processor computes in every precision")
    with pytest.raises(EngineError, match=r"fp16.*fp32|fp32.*fp16"):
        open_engine(inverter_path, backend, "cpu", "fp16")


def test_device_that_cannot_start_is_never_replaced(inverter_path: Path) -> None:
    """None of our machines has an NVIDIA GPU; where CUDA works, there is nothing to test."""
    from engines.availability import cuda_problem

    if cuda_problem() is None:
        pytest.skip("CUDA works here")
    with pytest.raises(EngineError, match=r"pip install|NVIDIA's driver"):
        open_engine(inverter_path, "onnxruntime", "cuda")
    with pytest.raises(EngineError, match=r"pip install|NVIDIA's driver"):
        open_engine(inverter_path, "onnxruntime", "tensorrt", "fp16")
    with pytest.raises(EngineError, match=r"pip install|NVIDIA's driver"):
        open_engine(inverter_path, "tensorrt")


def test_auto_takes_what_works(inverter_path: Path) -> None:
    with open_engine(inverter_path) as engine:
        assert engine.backend in BACKENDS
        assert np.array_equal(engine.paint(picture(16, 16)), 255 - picture(16, 16))


@pytest.mark.parametrize("choice", ["backend", "precision"])
def test_unknown_choices_list_the_known(inverter_path: Path, choice: str) -> None:
    with pytest.raises(EngineError, match=r"openvino|fp32"):
        open_engine(inverter_path, **{choice: "nonsense"})
