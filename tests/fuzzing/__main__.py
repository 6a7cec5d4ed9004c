"""Damage files of every kind, run the commands that read them, and print what goes wrong.

python -m tests.fuzzing --variants 2000
"""

import argparse
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from streamstyle.system import cores
from tests.fuzzing.seeds import write_material, write_seeds
from tests.fuzzing.variants import limit, run, variants
from tests.helpers.isolated import Failure, Isolated, map_with


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="variants whose name contains this")
    parser.add_argument("--jobs", type=int, default=cores())
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        material = write_material(Path(folder, "material"))
        seeds = [s for s in write_seeds(Path(folder, "seeds")) if options.only in s.name]
        cases = list(variants(seeds, material, options.variants, options.seed))
        print(f"seed {options.seed}: {len(seeds)} files and commands, {len(cases)} variants")
        findings: Counter[str] = Counter()
        with ExitStack() as stack:
            runners = [Isolated(run, limit) for _ in range(options.jobs)]
            for runner in runners:
                stack.callback(runner.close)
            work = map_with(runners, cases)
            for case, result in tqdm(work, total=len(cases), file=sys.stderr, mininterval=5):
                fault = result.reason if isinstance(result, Failure) else result
                if fault:
                    findings[case.seed.name] += 1
                    tqdm.write(f"{case}: {fault}")
    print(f"{findings.total()} findings in {len(cases)} variants")
    return findings.total() > 0


if __name__ == "__main__":
    sys.exit(main())
