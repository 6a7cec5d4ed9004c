"""One case of each container and of each codec; `python -m tests.torture` tries everything."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest

from tests.torture.clips import Case, picture_cases, sound_cases
from tests.torture.compare import Checker, Outcome

HOME = "nut"
ATTEMPTS = 4
"""FFmpeg does not write everything that it says a container holds."""

Groups = dict[str, list[Case]]


def grouped(cases: Iterable[Case]) -> Groups:
    """Return a few cases of each container, and of each codec in a container that holds most."""
    groups: Groups = defaultdict(list)
    for case in cases:
        groups[f"in {case.container}"].append(case)
        if case.container == HOME:
            groups[case.sound or case.codec].append(case)
    return {name: found[:ATTEMPTS] for name, found in groups.items()}


PICTURES = grouped(picture_cases())
SOUNDS = grouped(sound_cases())


@pytest.fixture(scope="module")
def check_picture() -> Iterator[Checker]:
    with closing(Checker(".mkv")) as checker:
        yield checker


@pytest.fixture(scope="module")
def check_sound() -> Iterator[Checker]:
    with closing(Checker(".mp4")) as checker:
        yield checker


@pytest.mark.slow
@pytest.mark.parametrize("group", PICTURES)
def test_pictures(group: str, check_picture: Checker) -> None:
    check_first(PICTURES[group], check_picture)


@pytest.mark.slow
@pytest.mark.parametrize("group", SOUNDS)
def test_sound(group: str, check_sound: Checker) -> None:
    check_first(SOUNDS[group], check_sound)


def check_first(cases: list[Case], check: Checker) -> None:
    """Check the first case that FFmpeg writes and reads back."""
    for case in cases:
        verdict = check(case)
        if verdict.outcome is not Outcome.NOT_MADE:
            assert verdict.outcome is not Outcome.WRONG, (str(case), verdict.differences)
            return
    pytest.skip("FFmpeg writes none of them, or does not read them back")
