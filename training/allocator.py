"""Freed memory stays with the process while it trains: a step that gets megabytes back from the system has them zeroed page by page.

Convolutions put out megabytes at every layer and free them in every step. By default glibc returns blocks of that size at
once; a training step of a small CNN then spends up to a quarter of its time in page faults. Other C libraries are left as
they are.
"""

import ctypes
from collections.abc import Callable

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_LARGEST = 32 * 2**20
"""Bytes of a block that is kept, as many as glibc before 2.35 allows. Larger ones are rows of data, not feature maps: they go back when they are freed."""


def keep_freed_memory() -> bool:
    """Set it for this process and those it forks; False where the C library knows no such setting."""
    mallopt = _function("mallopt")
    if mallopt is None:
        return False
    return all([mallopt(_MMAP_THRESHOLD, _LARGEST), mallopt(_TRIM_THRESHOLD, 2**31 - 1)])  # each for itself


def return_freed_memory() -> None:
    """Give the system back what is free by now: between jobs nothing is about to be used again."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """Look a function of the C library up; musl and macOS lack these."""
    try:
        return getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):  # no handle to the program itself, as on Windows
        return None
