"""How much memory the jobs of one child may take: beyond it an allocation fails, and the job with it, not the child."""

import os
import resource
from pathlib import Path

_SHARE = 0.8
_CGROUPS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def limit_memory(num_bytes: int) -> bool:
    """Let this process take so much more than it has taken by now; False where the system cannot count it."""
    at_rest = _taken()
    if at_rest is None:
        return False
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    wanted = at_rest + num_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    return True


def fair_share(children: int) -> int:
    """Give what one of so many children may take of what this machine, or container, has."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUPS:
        try:
            total = min(total, int(path.read_text()))
        except (OSError, ValueError):  # not in a container, or one without a limit ("max")
            continue
    return int(total * _SHARE / children)


def _taken() -> int | None:
    """Give the private writable memory that this process has mapped."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmData:")), None)
