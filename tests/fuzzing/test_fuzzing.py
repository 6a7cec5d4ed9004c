"""A hundred damaged files; `python -m tests.fuzzing` tries thousands."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.fuzzing.seeds import write_material, write_seeds
from tests.fuzzing.variants import limit, run, variants
from tests.helpers.isolated import Isolated

COUNT = 100
RANDOM_SEED = 1


@pytest.mark.slow
def test_damaged_files_are_refused_or_painted(tmp_path: Path) -> None:
    material = write_material(tmp_path / "material")
    seeds = write_seeds(tmp_path / "seeds")
    assert len(seeds) > 100
    damaged = [v for v in variants(seeds, material, COUNT, RANDOM_SEED) if v.number >= 0]
    assert len(damaged) == COUNT
    with closing(Isolated(run, limit)) as isolated:
        for variant in damaged:
            fault = isolated(variant)
            assert not fault, f"seed {RANDOM_SEED}, {variant}: {fault}"
