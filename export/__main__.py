"""The program `streamstyle-export`, also as python -m export: sets up the process for training."""

import ctypes
import os
import sys

from engines.availability import IN_FOLDER


def main() -> int:
    """Run `export.cli`; returns the exit status."""
    # Read when PyTorch is loaded: threads that wait for work then sleep, and leave the cores to
    # whatever else there is to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    keep_memory()
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


def keep_memory() -> None:
    """From here on: a step frees gigabytes, and glibc would fetch them again in the next."""
    trim_threshold, mmap_threshold, most = -1, -3, 2**31 - 1  # by mallopt's numbers
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, most)
        libc.mallopt(trim_threshold, most)


if __name__ == "__main__":
    sys.exit(main())
