"""Worker processes of the benchmark: they are isolated, and start and end cleanly."""

import multiprocessing
import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from benchmarks.ways import Way, Worker, ways
from streamstyle.cli.bench import Size, moving_frames
from streamstyle.styles import parse_style
from tests.helpers import misbehaving

SIZE = (48, 32)


def test_ctrl_c_while_a_process_starts_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    start = multiprocessing.context.SpawnProcess.start

    def interrupted(process: multiprocessing.context.SpawnProcess) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        start(process)

    monkeypatch.setattr(multiprocessing.context.SpawnProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Worker(Way("light", misbehaving.has_no_torch), SIZE)
    (process,) = multiprocessing.active_children()
    process.kill()
    process.join()


def test_processes_have_nothing_of_each_other() -> None:
    import torch  # noqa: F401

    with Worker(Way("light", misbehaving.has_no_torch), SIZE) as worker:
        worker.paint(moving_frames(SIZE, 1)[0])


def test_closing_waits_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.ways.GOODBYE_S", 0.1)
    Worker(Way("late", partial(misbehaving.is_late, tmp_path / "done")), SIZE).close()
    assert not multiprocessing.active_children()
    assert not (tmp_path / "done").exists()


@pytest.mark.slow
def test_memory_is_that_of_a_process_of_its_own(inverter_path: Path) -> None:
    here = np.ones((200, 1024, 1024), np.uint8)  # 200 MB that the worker must not count
    way = next(w for w in ways(parse_style(inverter_path), SIZE, False) if "onnx" in w.name)

    def peak_mb(size: Size) -> float:
        with Worker(way, size) as worker:
            worker.paint(np.zeros((1, size[1], size[0], 3), np.uint8))
            return worker.mb

    small, large = peak_mb((64, 48)), peak_mb((2048, 2048))
    assert small < 200 <= here.nbytes / 1e6
    assert large > small + 50
