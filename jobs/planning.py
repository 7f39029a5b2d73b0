"""How a round's fits are grouped: which share a stack, and so which worker trains them. No number depends on it.

Small networks are overhead, and a stack shares it; large ones and convolutions on CPUs are arithmetic, and gain nothing. Jobs that
ask for a GPU by name have larger stacks; `auto` is planned for CPUs, for it is not known yet who trains it.
A shard is one stack. Shards are never so large that a worker would be left idle.
"""

import itertools
import math
from collections.abc import Hashable, Sequence

from data.dataset import DatasetInfo
from jobs.plans.fits import PlannedFit
from jobs.rows import batch_rows
from models.spec import CnnSpec
from training.structure import structure_of

_SMALL_STEP = 10e6
"""Floating point operations of one fit's step below which overhead dominates."""
_LARGE_STEP = 50e6
_STACK_BYTES = 4e6
"""Parameters, gradient and two moments of a stack: beyond it falls out of cache."""
_BETWEEN = 4
_DEVICE_STEP = 10e9
"""Of a whole stack on a GPU: its kernels then take longer than to launch them. Of data sheets; not measured yet."""
_DEVICE_BYTES = 1e9
_MOST_ON_DEVICE = 512
_MOST = 64
_SHARD_BYTES = 2e9
"""Prepared rows of a shard: fits that see the same rows share them, resamples do not."""


def shards_of(fits: Sequence[PlannedFit], info: DatasetInfo, workers: int) -> list[list[PlannedFit]]:
    """Group a round's fits for `workers` processes; fits keep their order."""
    alike: dict[Hashable, list[PlannedFit]] = {}
    for fit in fits:
        key = structure_of(fit.spec, fit.input_shape, info.num_outputs, info.task, has_val=fit.num_rows["val"] > 0)
        alike.setdefault(key, []).append(fit)
    shards = []
    for group in alike.values():
        size = min(stack_size(group[0]), math.ceil(len(group) / max(1, workers)), _most_in_memory(group))
        count = math.ceil(len(group) / size)
        ends = [round(i * len(group) / count) for i in range(count + 1)]
        shards += [group[start:stop] for start, stop in itertools.pairwise(ends)]
    return shards


def stack_size(fit: PlannedFit) -> int:
    """Give how many fits like this one train fastest together."""
    flops = step_flops(fit)
    if isinstance(fit.spec.network, CnnSpec):
        return 1
    if fit.spec.device == "cuda":
        return max(1, min(_MOST_ON_DEVICE, int(_DEVICE_STEP / flops), int(_DEVICE_BYTES / (16 * fit.num_parameters))))
    if flops > _LARGE_STEP:
        return 1
    if flops > _SMALL_STEP:
        return _BETWEEN
    return max(1, min(_MOST, int(_STACK_BYTES / (16 * fit.num_parameters))))


def _most_in_memory(group: Sequence[PlannedFit]) -> int:
    """Give how many of these fits one worker can hold the rows of."""
    first, several = group[0], len({fit.row_hash for fit in group})
    width = 8 if first.spec.training.precision == "float64" else 4
    most = max(1, int(_SHARD_BYTES / (width * math.prod(first.input_shape) * sum(first.num_rows.values()))))
    return len(group) if several <= most else most


def step_flops(fit: PlannedFit) -> float:
    """Floating point operations of one batch, forward and backward."""
    return 3 * fit.row_flops * batch_rows(fit.spec, fit.num_rows["train"])
