"""Starts a program that may write below some folders only, as in a container with a read-only root: `closed.py FOLDER... -- PROGRAM...`.

By Landlock (Linux 5.13), which needs no rights. Where the kernel has none, the program starts all the same; `is_enforced` tells.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Sequence

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # system calls, the same on every architecture
_PATH_BENEATH, _VERSION, _NO_NEW_PRIVILEGES = 1, 1, 38
_WRITE = 1 << 1
_ALWAYS = _WRITE | sum(1 << bit for bit in range(4, 13))  # write; remove and make files, folders, links, sockets, pipes
_REFER, _TRUNCATE = 1 << 13, 1 << 14  # since versions 2 and 3
_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Give the version of the kernel's Landlock; 0 or less where there is none."""
    return int(_libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION)))


def is_enforced() -> bool:
    """Tell whether a program that is started so is held to its folders."""
    return version() > 0


def close(folders: Sequence[str]) -> None:
    """Let this process, and all it starts, write below these folders only, and gain no rights."""
    known = version()
    rights = _ALWAYS | (_REFER if known >= 2 else 0) | (_TRUNCATE if known >= 3 else 0)
    ruleset = _libc.syscall(_CREATE, struct.pack("=Q", rights), ctypes.c_size_t(8), ctypes.c_uint32(0))
    _check(ruleset)
    for folder in folders:
        opened = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        _check(_libc.syscall(_ADD, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, opened), ctypes.c_uint32(0)))
        os.close(opened)
    _check(_libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))
    _check(_libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    at = sys.argv.index("--")
    if is_enforced():
        close(sys.argv[1:at])
    os.execv(sys.argv[at + 1], sys.argv[at + 1 :])
