"""`give_back_memory` returns freed memory to the operating system."""

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes
import psutil
from streamstyle.system import give_back_memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
blocks = [libc.malloc(8_000) for _ in range(20_000)]
for address in blocks:
    ctypes.memset(address, 1, 8_000)
for number, address in enumerate(blocks):
    if number % 64:
        libc.free(address)
print(psutil.Process().memory_info().rss / 1e6)
give_back_memory()
print(psutil.Process().memory_info().rss / 1e6)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="this C library has no such call",
)
def test_what_lies_between_blocks_in_use_is_given_back() -> None:
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    before_mb, after_mb = map(float, run.stdout.split())
    assert before_mb > 160
    assert after_mb < before_mb - 120
