"""The allocator of a process that trains."""

import platform
import subprocess
import sys

import pytest

_FAULTS = """
import resource
import torch
from training.allocator import keep_freed_memory, return_freed_memory

def faults(times):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.empty(5 * 2**20).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
by_default = faults(10)
assert keep_freed_memory()
faults(20)  # neighbours must have been freed before a block is found among them
kept = faults(10)
return_freed_memory()
print(by_default, kept, faults(1))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc returns freed blocks at once, and has the setting")
def test_freed_memory_is_used_again_until_it_is_returned() -> None:
    """Ten feature maps of 20 MiB, less than the largest block that is kept, one after another: the system gives each its pages anew, or one after a return."""
    done = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, timeout=120, check=True)
    by_default, kept, returned = map(int, done.stdout.split())
    assert by_default > 4 * kept
    assert returned > kept
