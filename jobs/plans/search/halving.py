"""Successive halving (Jamieson & Talwalkar 2016): candidates are compared at epochs that grow by a factor, and few go on."""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace

from jobs.plans.fits import FitResult, Round
from jobs.plans.search.spec import HalvingSpec
from jobs.plans.search.tried import Tried, loss_like
from training.monitors import Monitor


@dataclass(frozen=True, kw_only=True)
class Later:
    """Fits and steps that follow a search: they are still to come while it runs."""

    fits: int = 0
    steps: int = 0


@dataclass(frozen=True, kw_only=True)
class Searched:
    """What was tried, in order. `pruned` are numbers of paused fits that were given up since the last round."""

    tried: list[Tried]
    pruned: tuple[int, ...] = ()


Search = Generator[Round, list[FitResult], Searched]


def rungs_of(halving: HalvingSpec, candidates: int, max_epochs: int) -> list[int]:
    """Give the epochs before `max_epochs` where candidates are compared."""
    first = halving.first_epochs
    if first is None:
        first, left = max_epochs, candidates
        choices = 0
        while left > 1:
            left, choices = math.ceil(left / halving.factor), choices + 1
        first = -(-max_epochs // halving.factor**choices)
    found = []
    while first < max_epochs:
        found.append(first)
        first *= halving.factor
    return found


def halved(tried: Sequence[Tried], rungs: Sequence[int], factor: int, metric: Monitor, later: Later) -> Search:
    """Train candidates from rung to rung, those that are left to the end; without rungs all at once.

    Of the m candidates that reached a rung ceil(m / factor) go on, the first of equal ones; one with a fit that failed
    never does, and all divisions of a candidate go on or stop together.
    """
    known, alive = list(tried), list(range(len(tried)))
    awaited = [fit for one in known for fit in one.fits]
    pruned: tuple[int, ...] = ()
    for epoch in [*rungs, None]:
        if not awaited:
            break
        asked = [replace(fit, pause_at=epoch) for fit in awaited]
        results = yield Round(fits=asked, pruned=pruned, later_fits=later.fits, later_steps=later.steps)
        heard = {result.number: result for result in results}
        known = [one.told(heard) for one in known]
        if epoch is None:
            return Searched(tried=known)
        awaited, pruned = [], ()
        kept = _going_on(known, alive, epoch, factor, metric)
        for number in alive:
            known[number] = _at_rung(known[number], epoch, metric, is_kept=number in kept)
            paused = known[number].paused_at(epoch)
            if number in kept:
                awaited += paused
            else:
                pruned += tuple(fit.number for fit in paused)
        alive = [number for number in alive if number in kept]
    return Searched(tried=known, pruned=pruned)


def _going_on(known: Sequence[Tried], alive: Sequence[int], epoch: int, factor: int, metric: Monitor) -> set[int]:
    scored = [(loss_like(metric, score), number) for number in alive if (score := known[number].score_at(epoch, metric)) is not None]
    return {number for _, number in sorted(scored)[: math.ceil(len(alive) / factor)]}


def _at_rung(one: Tried, epoch: int, metric: Monitor, *, is_kept: bool) -> Tried:
    score = one.score_at(epoch, metric)
    if score is None:
        return one
    return replace(one, rungs=(*one.rungs, (epoch, score)), is_pruned=not is_kept)
