"""Memory that was freed goes back to the system, or stays, as it is told."""

import ctypes
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"),
    reason="this C library has no such calls",
)

BEGIN = """
import ctypes
import psutil
from engines import memory

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def filled(size):
    address = libc.malloc(size)
    ctypes.memset(address, 1, size)
    return address

def say():
    print(psutil.Process().memory_info().rss / 1e6)

"""

SMALL_BLOCKS = """
for number, address in enumerate([filled(8_000) for _ in range(20_000)]):
    if number % 64:
        libc.free(address)
say()
memory.give_back()
say()
"""

LARGE_BLOCKS = """
libc.free(filled(160_000_000))
say()
memory.keep()
libc.free(filled(160_000_000))
say()
"""


def megabytes(program: str) -> list[float]:
    command = [sys.executable, "-c", BEGIN + program]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    return [float(line) for line in run.stdout.split()]


def test_what_lies_between_blocks_in_use_is_given_back() -> None:
    before, after = megabytes(SMALL_BLOCKS)
    assert before > 160
    assert after < before - 120


def test_what_is_needed_again_is_kept() -> None:
    usual, kept = megabytes(LARGE_BLOCKS)
    assert kept > usual + 120
