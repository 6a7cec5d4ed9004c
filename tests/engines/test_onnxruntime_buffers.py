"""onnxruntime's device buffers, tested on the CPU.

Several frames at a time and several devices of one kind have not been run on GPUs yet.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from numpy.typing import NDArray

from engines import open_engine
from engines.onnxruntime_.buffers import KEPT_SHAPES, Buffers
from tests.helpers.frames import picture


@pytest.fixture
def buffers(inverter_path: Path) -> Buffers:
    session = ort.InferenceSession(inverter_path, providers=["CPUExecutionProvider"])
    return Buffers(session, "cpu", 0)


def test_each_thread_has_its_own(buffers: Buffers) -> None:
    frames = [picture(32 + 8 * (n % 3), 48, seed=n) for n in range(60)]

    def painted(number: int) -> Mapping[str, NDArray[Any]]:
        return buffers.run({"frame": frames[number]})

    with ThreadPoolExecutor(4) as pool:
        for before, after in zip(frames, pool.map(painted, range(60)), strict=True):
            assert np.array_equal(after["stylized"], 255 - before)


def test_more_shapes_than_are_kept_while_others_run(buffers: Buffers) -> None:
    def painted(side: int) -> bool:
        frames = picture(side, 48)
        return bool(np.array_equal(buffers.run({"frame": frames})["stylized"], 255 - frames))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(painted, [16 + n % (2 * KEPT_SHAPES) for n in range(100)]))


@pytest.mark.parametrize(
    ("device", "threads"), [("cpu", 1), ("cuda", 2), ("cuda:1", 2), ("tensorrt", 1)]
)
def test_frames_at_once(inverter_path: Path, device: str, threads: int) -> None:
    """The engine is told that it runs on devices that this machine does not have."""
    with open_engine(inverter_path, "onnxruntime", "cpu") as engine:
        engine.device = device  # type: ignore[misc]
        assert engine.set_concurrency(4) == threads
        assert engine.set_concurrency(1) == 1
