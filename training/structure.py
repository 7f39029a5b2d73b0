"""Who can share a stack: fits whose networks are one network over a matrix of weights. No torch: a planner asks before any worker does."""

import json
from collections.abc import Sequence

from models.spec import NetworkSpec
from training.records import Fit, Task
from training.spec import FitSpec


def structure(fit: Fit) -> str:
    """Name the structure of a fit whose rows are at hand."""
    data = fit.data
    return structure_of(fit.spec, data.train.x.shape[1:], data.num_outputs, data.task, has_val=data.val is not None)


def structure_of(spec: FitSpec, input_shape: Sequence[int], num_outputs: int, task: Task, *, has_val: bool) -> str:
    """Name the structure of a fit of a resolved spec on inputs of `input_shape`; fits of equal names can share a stack.

    Seeds, rates, decays, penalties, schedules and rows may differ. The name is JSON: equal in every process.
    """
    parts = {
        "network": _without_numbers(spec.network).model_dump(mode="json"),
        "input_shape": list(input_shape),
        "num_outputs": num_outputs,
        "task": task,
        "has_val": has_val,
        "loss": None if spec.loss is None else spec.loss.model_dump(mode="json"),
        "optimizer": spec.optimizer.name,
        "batch_size": spec.training.batch_size,
        "accumulate_batches": spec.training.accumulate_batches,
        "precision": spec.training.precision,
        "is_averaged": spec.regularization.ema_decay is not None,
    }
    return json.dumps(parts, sort_keys=True)


def _without_numbers(spec: NetworkSpec) -> NetworkSpec:
    """Forget what may differ between the fits of a stack."""
    plain = {"dropout": 0.0}
    if spec.normalization is None:
        return spec.model_copy(update=plain)
    return spec.model_copy(update={**plain, "normalization": type(spec.normalization)(name=spec.normalization.name)})  # type: ignore[arg-type]
