"""Whether memory that was freed goes back to the system, where the C library is glibc."""

import ctypes
import sys

_MOST = 2**31 - 1
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""By mallopt's numbers."""


def give_back() -> None:
    """Give back what lies between blocks in use, which glibc keeps: more of it with each thread
    that came and went, such as an encoder's."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def keep() -> None:
    """From here on, keep what is freed: a training frees gigabytes in each step, and would fetch
    them again, page by page, in the next."""
    if (libc := _glibc()) is not None:
        libc.mallopt(_MMAP_THRESHOLD, _MOST)
        libc.mallopt(_TRIM_THRESHOLD, _MOST)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None
