"""How long a job would take on the workers that are alive: from what they measured of themselves. A guess within a factor of two or so."""

from collections.abc import Sequence
from dataclasses import dataclass

from data.dataset import DatasetInfo
from jobs.planning import shards_of, stack_size
from jobs.plans.fits import PlannedFit, Round
from jobs.rows import batch_rows
from models.spec import CnnSpec
from training.speed import Speed

_RESAMPLE_SECONDS = 6e-9
"""Of drawing one row once for a final interval and adding up its figures."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Wall time of a whole job, once it starts, on `workers` processes that have nothing else to do."""

    seconds: float
    workers: int


def estimate(first: Round, info: DatasetInfo, speeds: Sequence[Speed]) -> Estimate | None:
    """Estimate a plan from its first round; later rounds cost as much a step. None where no worker has measured itself."""
    if not speeds or not first.fits:
        return None
    each = [sum(_seconds(fit, speed) for speed in speeds) / len(speeds) for fit in first.fits]
    by_number = dict(zip((fit.number for fit in first.fits), each, strict=True))
    shards = [sum(by_number[fit.number] for fit in shard) for shard in shards_of(first.fits, info, len(speeds))]
    now = max(*shards, sum(shards) / len(speeds))
    steps = sum(fit.steps_planned for fit in first.fits)
    later = sum(each) / max(1, steps) * first.later_steps
    return Estimate(seconds=now + later / (len(speeds) if first.later_fits > len(speeds) else 1), workers=len(speeds))


def _seconds(fit: PlannedFit, speed: Speed) -> float:
    """Estimate one fit, in the stack that it would be trained in."""
    is_conv = isinstance(fit.spec.network, CnnSpec)
    rate = speed.conv_flops if is_conv else speed.dense_flops
    train = fit.num_rows["train"]
    limit = fit.spec.evaluation.max_train_rows
    measured = min(train, limit or train) + fit.num_rows["val"]
    epochs = fit.steps_planned / max(1, fit.steps_per_epoch)
    batches = -(-train // batch_rows(fit.spec, train))
    overhead = speed.stacked_step_seconds if stack_size(fit) > 1 else speed.step_seconds
    epoch = batches * overhead + fit.row_flops * (3 * train + measured) / rate
    final = sum(fit.num_rows.values()) * (fit.spec.evaluation.resamples * _RESAMPLE_SECONDS + 3 * fit.row_flops / rate)
    return epochs * epoch + final
