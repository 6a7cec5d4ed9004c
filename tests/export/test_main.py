"""The start of `streamstyle-export`, each time in a new process."""

import ctypes
import subprocess
import sys

import pytest

WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
from export.__main__ import main
sys.exit(main())
"""

WAITING = """
import os, sys
sys.argv = ["streamstyle-export", "--help"]
from export.__main__ import main
try:
    main()
finally:
    print(os.environ["OMP_WAIT_POLICY"])
"""

FREED_TWICE = """
import numpy as np
import psutil
from export.__main__ import keep_memory

def megabytes():
    np.ones(20_000_000)  # 160 MB, and gone
    return psutil.Process().memory_info().rss / 1e6

print(megabytes())
keep_memory()
print(megabytes())
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_without_pytorch_it_says_what_to_install() -> None:
    result = run(WITHOUT_TORCH)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("streamstyle-export: torch is not installed; ")
    assert 'pip install -c constraints.txt ".[export]"' in line


@pytest.mark.slow
def test_threads_that_wait_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    for given, used in ((None, "passive"), ("active", "active")):
        if given is None:
            monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
        else:
            monkeypatch.setenv("OMP_WAIT_POLICY", given)
        assert run(WAITING).stdout.splitlines()[-1] == used


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"),
    reason="this C library has no such call",
)
def test_what_each_step_needs_again_is_kept() -> None:
    usual_mb, kept_mb = map(float, run(FREED_TWICE).stdout.split())
    assert kept_mb > usual_mb + 120
