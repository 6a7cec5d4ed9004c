"""Change code in small ways and see whether the tests notice.

    python -m tests.mutation --since main
    python -m tests.mutation --count 72 streamstyle/media/reader.py streamstyle/pipeline.py

Needs `pip install cosmic-ray`. It works on a copy of the repository.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome

ROOT = Path(__file__).parents[1]
CODE = ("streamstyle", "engines", "export")
WHOLE_FILES = "tests/streamstyle/files"
"""Files from end to end, which use most of `streamstyle`."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="default: those changed --since")
    parser.add_argument("--since", default="HEAD~1", help="a commit (default HEAD~1)")
    parser.add_argument("--count", type=int, default=40, help="number of changes (default 40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=300, help="seconds for the tests of one")
    options = parser.parse_args()
    files = options.files or _changed(options.since)
    with tempfile.TemporaryDirectory() as folder:
        _copy(Path(folder))
        os.chdir(folder)
        chosen = _choose(files, options.count, options.seed)
        survived = sum(not _noticed(mutation, options.timeout) for mutation in chosen)
    noticed = len(chosen) - survived
    print(f"{noticed} of {len(chosen)} changes were noticed")
    return survived > 0


def _changed(since: str) -> list[Path]:
    names = _git("diff", "--name-only", "--diff-filter=d", since, "--", *CODE)
    return [Path(name) for name in names if name.endswith(".py")]


def _copy(folder: Path) -> None:
    for name in _git("ls-files"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)


def _git(*arguments: str) -> list[str]:
    command = ["git", *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def _choose(files: Sequence[Path], count: int, seed: int) -> list[MutationSpec]:
    """Return `count` changes, as evenly spread over the files as can be."""
    rng = random.Random(seed)
    changes: dict[Path, list[MutationSpec]] = {path: [] for path in files}
    with use_db("changes.sqlite", WorkDB.Mode.create) as found:
        init(files, found, {})
        for item in found.work_items:
            (mutation,) = item.mutations
            changes[mutation.module_path].append(mutation)
    for mutations in changes.values():
        rng.shuffle(mutations)
    turns = max(map(len, changes.values()), default=0)
    in_turn = [m[turn] for turn in range(turns) for m in changes.values() if turn < len(m)]
    return in_turn[:count]


def _noticed(mutation: MutationSpec, timeout: float) -> bool:
    tests = " ".join(_tests_of(mutation.module_path))
    command = f"{sys.executable} -m pytest -x -q -p no:cacheprovider {tests}"
    result = mutate_and_test([mutation], command, timeout)
    if result.test_outcome is not TestOutcome.SURVIVED:
        return True
    print(result.diff, flush=True)
    return False


def _tests_of(module: Path) -> list[str]:
    """Return the tests to run, those that lie next to the module first."""
    beside = Path("tests", module).parent
    own = beside / f"test_{module.stem}.py"
    places = [own, beside if len(beside.parts) > 2 else None]
    if module.parts[0] == "streamstyle":
        places.append(Path(WHOLE_FILES))
    return [str(place) for place in places if place is not None and place.exists()] or ["tests"]


if __name__ == "__main__":
    sys.exit(main())
