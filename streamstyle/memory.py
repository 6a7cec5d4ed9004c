"""Memory that was freed goes back to the system."""

import ctypes
import sys


def give_back() -> None:
    """Give back what lies between blocks in use, which glibc keeps: more of it with each thread
    that came and went, such as an encoder's. Other C libraries have no such call."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
