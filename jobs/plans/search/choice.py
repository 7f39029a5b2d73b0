"""Which candidate is chosen."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.plans.search.spec import SearchSpec
from jobs.plans.search.tried import Tried, loss_like
from training.monitors import Monitor, rises


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The candidate chosen, and the best one; `within` are those that do not differ from it by more than the standard error."""

    chosen: Tried
    best: Tried
    standard_error: float | None = None
    threshold: float | None = None
    within: tuple[Tried, ...] = ()


def choose(asked: SearchSpec, tried: Sequence[Tried]) -> Choice | None:
    """Choose among the candidates of which every fit finished; None if there is none."""
    scored = [(score, one) for one in tried if (score := one.score(asked.metric)) is not None and not one.is_pruned]
    if not scored:
        return None
    score, best = min(scored, key=lambda pair: loss_like(asked.metric, pair[0]))  # the first of equal ones
    if asked.choose == "best":
        return Choice(chosen=best, best=best)
    error = standard_error(best, asked.metric)
    threshold = score - error if rises(asked.metric) else score + error
    limit = loss_like(asked.metric, threshold)
    within = tuple(one for found, one in scored if loss_like(asked.metric, found) <= limit)
    simplest = min(within, key=lambda one: (one.num_parameters, -one.fits[0].spec.regularization.l2))
    return Choice(chosen=simplest, best=best, standard_error=error, threshold=threshold, within=within)


def standard_error(one: Tried, metric: Monitor) -> float:
    """Give s / sqrt(k) over the k divisions of a candidate, s with n - 1."""
    values = np.array(one.values(metric), dtype=np.float64)
    return float(values.std(ddof=1)) / math.sqrt(len(values))
