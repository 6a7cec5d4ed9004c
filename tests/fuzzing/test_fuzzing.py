"""A hundred damaged files; `python -m tests.fuzzing` tries thousands."""

from pathlib import Path

import pytest

from tests.fuzzing.seeds import write_material, write_seeds
from tests.fuzzing.variants import limit, run, variants
from tests.helpers.isolated import Failure, map_isolated

COUNT = 100
RANDOM_SEED = 1


@pytest.mark.slow
def test_damaged_files_are_refused_or_painted(tmp_path: Path) -> None:
    material = write_material(tmp_path / "material")
    seeds = write_seeds(tmp_path / "seeds")
    assert len(seeds) > 100
    damaged = [v for v in variants(seeds, material, COUNT, RANDOM_SEED) if v.number >= 0]
    assert len(damaged) == COUNT
    for variant, fault in map_isolated(run, damaged, limit, jobs=1):
        assert not isinstance(fault, Failure), f"seed {RANDOM_SEED}, {variant}: {fault.reason}"
        assert not fault, f"seed {RANDOM_SEED}, {variant}: {fault}"
