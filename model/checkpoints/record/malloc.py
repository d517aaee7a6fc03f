"""glibc's malloc settings, so that memory which one recording frees stays at hand for the next.

Measured: most of what a recording costs beyond its forward is the first touch of fresh pages. glibc makes it worse, because
it returns the top of the heap to the system whenever an intermediate result is freed there, and the next layer fetches
the same pages anew (benchmarks/README.md).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# The numbers of malloc.h, as mallopt(3) names them. Setting either stops glibc from moving both by itself, so both are set.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**31 - 1  # bytes, the largest that mallopt takes, and about what the app keeps of its runs
_MMAPPED = 32 * 2**20  # bytes, the largest that glibc takes, and where it ends up by itself


def give_back() -> None:
    """Return what was freed to the system, after much of it has gone; nothing where the C library is not glibc."""
    if keep_freed():
        ctypes.CDLL(None).malloc_trim(0)


@cache
def keep_freed() -> bool:
    """Let the process keep up to 2 GiB of freed memory; whether it could (only where the C library is glibc)."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 (musl has a mallopt of its own making, and not this)
        return bool(library.mallopt(_TRIM_THRESHOLD, _KEPT) and library.mallopt(_MMAP_THRESHOLD, _MMAPPED))
    except (OSError, AttributeError):
        return False
