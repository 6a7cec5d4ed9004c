"""A selection: each container, and each codec once; `python -m tests.torture` tries everything."""

from collections.abc import Iterable, Iterator

import pytest

from tests.torture.clips import Case, picture_cases, sound_cases
from tests.torture.compare import Outcome, check

HOME = "nut"
"""Holds the most codecs."""


def selection(cases: Iterable[Case]) -> Iterator[Case]:
    seen = set()
    for case in cases:
        names = (
            {case.container, case.sound or case.codec}
            if case.container == HOME
            else {case.container}
        )
        if not names <= seen:
            seen |= names
            yield case


@pytest.mark.slow
@pytest.mark.parametrize("case", selection(picture_cases()), ids=str)
def test_pictures(case: Case) -> None:
    paint(case, ".mkv")


@pytest.mark.slow
@pytest.mark.parametrize("target", [".mkv", ".mp4"])
@pytest.mark.parametrize("case", selection(sound_cases()), ids=str)
def test_sound(case: Case, target: str) -> None:
    paint(case, target)


def paint(case: Case, target: str) -> None:
    verdict = check(case, target)
    if verdict.outcome is Outcome.NOT_MADE:
        pytest.skip("this FFmpeg does not write it, or does not read it back")
    assert verdict.outcome is not Outcome.WRONG, verdict.differences
