"""The program `streamstyle-export`, also as python -m export: sets up the process for training."""

import os
import sys

from engines.diagnosis import IN_FOLDER
from engines.memory import keep


def main() -> int:
    """Run `export.cli`; returns the exit status."""
    # Read when PyTorch is loaded: threads that wait for work then sleep, and leave the cores to
    # whatever else there is to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    keep()
    try:
        from export.cli import main as run
    except ModuleNotFoundError as error:
        print(
            f"streamstyle-export: {error.name} is not installed; {IN_FOLDER}: "
            'pip install -c constraints.txt ".[export]"',
            file=sys.stderr,
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
