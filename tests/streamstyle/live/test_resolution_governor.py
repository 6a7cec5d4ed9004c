"""The resolution governor, run on simulated machines of known speed."""

from collections.abc import Callable, Collection

import pytest

from streamstyle.live.resolution_governor import Governor, Size, ladder

LADDER = ladder(640, 480)
PIXELS = 640 * 480


class Machine:
    """A camera at 30 frames per second, and a processor that takes `full_ms` per full frame."""

    def __init__(self, full_ms: Callable[[float], float], fps: float = 30.0) -> None:
        self.governor = Governor(LADDER, fps=fps, max_latency_ms=120)
        self.full_ms = full_ms
        self.ready: Collection[Size] = LADDER
        self.now_s = 0.0
        self.rungs: list[tuple[float, int]] = []
        self.ages: list[tuple[float, float]] = []

    def run(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            # Take the camera's newest frame; an idle engine waits for the next one.
            captured_s = max(self.now_s // (1 / 30) / 30, self.now_s - 1 / 30)
            width, height = self.governor.size
            took_s = self.full_ms(self.now_s) / 1000 * width * height / PIXELS
            self.now_s += took_s
            self.governor.painted(self.now_s, took_s, captured_s)
            age_s = self.now_s - captured_s + 0.005
            self.governor.shown(self.now_s, age_s)
            self.ages.append((self.now_s, age_s))
            self.rungs.append((self.now_s, self.governor.decide(self.now_s, self.ready)))
            self.now_s = max(self.now_s, captured_s + 1 / 30)

    def changes(self) -> list[tuple[float, int]]:
        return [b for a, b in zip(self.rungs, self.rungs[1:], strict=False) if a[1] != b[1]]


def test_rungs_are_six_shares_of_the_size_on_a_grid_of_eight() -> None:
    assert ladder(640, 480) == (
        (640, 480),
        (512, 384),
        (416, 312),
        (320, 240),
        (256, 192),
        (192, 144),
    )
    assert ladder(64, 48) == ((64, 48), (48, 40), (40, 32), (32, 32))


def test_rungs_shrink_keep_the_shape_and_suit_the_nets() -> None:
    for width, height in ((640, 480), (1920, 1080), (720, 1280), (64, 48)):
        rungs = ladder(width, height)
        assert len(set(rungs)) == len(rungs)
        assert [w * h for w, h in rungs] == sorted((w * h for w, h in rungs), reverse=True)
        assert all(w % 8 == 0 and h % 8 == 0 and min(w, h) >= 32 for w, h in rungs)


def test_fast_machine_stays_at_the_full_size() -> None:
    machine = Machine(lambda _at_s: 20)
    machine.run(60)
    assert machine.governor.size == (640, 480)
    assert machine.changes()[-1][0] < 2


def test_slow_machine_finds_its_size_at_once_and_stays() -> None:
    machine = Machine(lambda _at_s: 90)
    machine.run(120)
    width, height = machine.governor.size
    assert 90 * width * height / PIXELS < 1000 / 30
    assert machine.governor.rung < len(LADDER) - 1
    assert machine.changes()[0][0] < 1.5
    assert len(machine.changes()) <= 3
    assert max(age for at_s, age in machine.ages) < 0.120


def test_hopeless_machine_ends_on_the_smallest_rung() -> None:
    machine = Machine(lambda _at_s: 5000)
    machine.run(30)
    assert machine.governor.size == LADDER[-1]


def test_lost_core_is_answered_within_three_seconds_and_the_size_returns() -> None:
    machine = Machine(lambda at_s: 25 if not 20 <= at_s < 40 else 60)
    machine.run(20)
    assert machine.governor.size == (640, 480)
    machine.run(20)
    assert machine.governor.size != (640, 480)
    assert max(age for at_s, age in machine.ages if 23 < at_s < 40) < 0.120
    machine.run(30)
    assert machine.governor.size == (640, 480)


@pytest.mark.slow
def test_borderline_machine_does_not_oscillate() -> None:
    """A size that looks possible but is not is tried less and less often."""
    machine = Machine(lambda _at_s: 0)

    def uneven(at_s: float) -> float:  # larger sizes cost more than their pixels say
        return 60 if machine.governor.rung == 0 else 28

    machine.full_ms = uneven
    machine.run(600)
    assert len([at_s for at_s, _ in machine.changes() if at_s > 300]) <= 12


def test_user_can_forbid_the_large_sizes() -> None:
    machine = Machine(lambda _at_s: 5)
    machine.governor.allow(2)
    machine.run(30)
    assert machine.governor.size == LADDER[2]
    machine.governor.allow(0)
    machine.run(30)
    assert machine.governor.size == LADDER[0]


def test_only_sizes_whose_engines_are_ready_are_chosen() -> None:
    machine = Machine(lambda _at_s: 90)
    machine.ready = {LADDER[0], LADDER[4]}
    machine.run(10)
    assert machine.governor.size == LADDER[4]
    machine.ready = LADDER
    machine.run(60)
    assert machine.governor.rung < 4
    machine.ready = {machine.governor.size}
    machine.full_ms = lambda _at_s: 5
    before = machine.governor.rung
    machine.run(60)
    assert machine.governor.rung == before
