"""Run `streamstyle-export`, also as `python -m export`, with process settings made for training."""

import ctypes
import os
import sys

from engines.availability import IN_FOLDER


def main() -> int:
    """Run `export.cli` and return its exit status, or 2 if a package is missing."""
    # PyTorch reads this when it loads. Threads that wait then sleep and leave the cores to other
    # work.
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
    """Make glibc keep freed memory instead of returning it to the system.

    A training step frees gigabytes that the next step needs again.
    """
    trim_threshold, mmap_threshold, most = -1, -3, 2**31 - 1  # option numbers of mallopt
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(mmap_threshold, most)
        libc.mallopt(trim_threshold, most)


if __name__ == "__main__":
    sys.exit(main())
