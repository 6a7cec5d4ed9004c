"""Memory that was freed goes back to the system."""

import ctypes
import sys


def give_back() -> None:
    """Free what the C library holds on to. glibc keeps pages that lie between blocks in use, and
    more of them with each thread that came and went, such as an encoder's; others have no such
    call, nor the need of it."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
