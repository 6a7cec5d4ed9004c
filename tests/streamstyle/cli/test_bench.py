"""The timing of engines that take turns: the order, and which frames count."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from engines import NO_STYLE, Engine, EngineError, Style
from streamstyle.cli import bench
from streamstyle.cli.bench import Contestant, end_to_end, moving_frames, race
from streamstyle.errors import UserError
from streamstyle.styles import parse_style
from tests.helpers.clips import Recipe, make_clip
from tests.helpers.live import Plain

SIZE = (48, 32)


class Clockwork(Contestant):
    """A contestant that reports a fixed time per frame without waiting.

    The first frame after another contestant's takes half as long again.
    """

    def __init__(self, name: str, frame_s: float, order: list[str]) -> None:
        super().__init__(name, np.zeros_like)
        self._frame_s, self._order = frame_s, order

    def timed(self, _frames: np.ndarray) -> float:
        self._order.append(self.name)
        return self._frame_s * (1.5 if self._order[-2:-1] != [self.name] else 1)


@pytest.fixture
def no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the real clock, so that only the times that Clockwork reports count."""
    monkeypatch.setattr(bench, "now_s", lambda: 0.0)


def test_slow_and_fast_take_turns_all_the_time(no_clock: None) -> None:
    order: list[str] = []
    slow, fast = Clockwork("slow", 9.0, order), Clockwork("fast", 0.01, order)
    race([slow, fast], [np.zeros((1, 2, 2, 3), np.uint8)], 3.0)
    assert len(slow.seconds) == 3
    assert order.count("fast") == pytest.approx(300, abs=20)
    turns = [place for place, name in enumerate(order[4:]) if name == "slow"]
    assert np.diff(turns) == pytest.approx([100, 100], abs=12)


def test_what_another_one_left_running_does_not_count(no_clock: None) -> None:
    order: list[str] = []
    one, other = Clockwork("one", 0.02, order), Clockwork("other", 0.03, order)
    race([one, other], [np.zeros((1, 2, 2, 3), np.uint8)], 1.0)
    assert sum(a != b for a, b in itertools.pairwise(order)) > 10
    assert set(one.seconds) == {0.02}
    assert set(other.seconds) == {0.03}


def test_a_plan_that_is_being_built_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A double stands in for TensorRT, because the test machines have no GPU."""

    class Building(Plain):
        backend = "onnxruntime"
        is_ready_at = 3

        def prepare(self, height: int, width: int, batch: int = 1, style: Style = NO_STYLE) -> None:
            super().prepare(height, width)
            self.is_ready_at -= 1
            if not self.is_ready_at:
                self.backend = "tensorrt"

    opened = [Building(0), Building(0)]
    monkeypatch.setattr(bench, "open_engine", lambda *_words: opened[-1])
    engine = bench.open_ready(parse_style("style"), ("tensorrt", "cuda", "fp16"), SIZE)
    assert engine is opened.pop()
    assert engine.backend == "tensorrt"
    monkeypatch.setattr(bench, "PLAN_S", 0.0)
    with pytest.raises(EngineError, match="tensorrt has no plan for 48x32 after 0 minutes"):
        bench.open_ready(parse_style("style"), ("tensorrt", "cuda", "fp16"), SIZE)
    assert opened[0].closed


def test_a_time_to_measure_is_some() -> None:
    with pytest.raises(UserError, match="more than 0 s, got 0"):
        race([], [], 0)


def test_frames_of_a_clip(tmp_path: Path, inverter: Engine) -> None:
    clip = make_clip(tmp_path / "clip.mp4", Recipe(pts=range(12)))
    frames = moving_frames(SIZE, 3, str(clip))
    assert [frame.shape for frame in frames] == [(1, 32, 48, 3)] * 3
    pattern = moving_frames(SIZE, 1)[0]
    assert all(np.abs(frame.astype(int) - pattern).mean() > 10 for frame in frames)
    through, alone = end_to_end(inverter, (64, 48), 0.01, str(clip))
    assert 0 < through < math.inf
    assert 0 < alone < math.inf
