"""Memory handed back to the system after work that took much of it: the C library keeps what is freed, for later."""

import ctypes
import sys


def hand_back() -> None:
    """Hand back what nothing uses; costs milliseconds. Does nothing where the C library has no `malloc_trim`."""
    arrow = sys.modules.get("pyarrow")  # imported by whoever read a table
    pool = getattr(arrow, "default_memory_pool", None)  # another thread may be about to import it
    if pool is not None:
        pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
