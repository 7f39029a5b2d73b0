"""A candidate on every division: what it was asked, what came of it, and its score."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from jobs.plans.fit.plan import median_epoch
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.search.space import Candidate
from training.monitors import Monitor, rises


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A candidate with its fits, one per division, and their results by number.

    `rungs` are its mean scores at the epochs where candidates were compared; it was stopped at the last of them where
    `is_pruned`. `refusal` says why its setting could not be trained at all.
    """

    candidate: Candidate
    fits: tuple[PlannedFit, ...] = ()
    results: Mapping[int, FitResult]
    rungs: tuple[tuple[int, float], ...] = ()
    is_pruned: bool = False
    refusal: str | None = None

    def told(self, results: Mapping[int, FitResult]) -> "Tried":
        """Take what is known of its fits now."""
        return replace(self, results={**self.results, **{fit.number: results[fit.number] for fit in self.fits if fit.number in results}})

    def values(self, metric: Monitor) -> list[float | None]:
        """Give the figure of the kept weights on each division's validation rows; None for a fit that did not finish."""
        return [_final(self.results.get(fit.number), metric) for fit in self.fits]

    def score(self, metric: Monitor) -> float | None:
        """Give the mean over the divisions; None unless every fit finished."""
        return _mean(self.values(metric))

    def score_at(self, epoch: int, metric: Monitor) -> float | None:
        """Give the mean over the divisions of each fit's best epoch until `epoch`; None if one of them had failed by then.

        Whether a fit failed later plays no part: a replay must decide as the first time. A fit that ended before has its
        final figure.
        """
        return _mean([_at(self.results.get(fit.number), epoch, metric) for fit in self.fits])

    def paused_at(self, epoch: int) -> list[PlannedFit]:
        """Give the fits that did not end before `epoch`, but wait there to be gone on with."""
        return [fit for fit in self.fits if fit.number in self.results and epoch in self.results[fit.number].rungs]

    def best_epoch(self) -> int:
        """Give the median over the divisions of the best epoch, halves up, at least 1."""
        return median_epoch([self.results[fit.number].best_epoch or 0 for fit in self.fits])

    @property
    def num_parameters(self) -> int:
        """Give the size of its network: the largest, where divisions differ in the words that they know."""
        return max((fit.num_parameters for fit in self.fits), default=0)


def is_better(metric: Monitor, one: float, other: float) -> bool:
    """Compare two scores; equal ones are not better."""
    return one > other if rises(metric) else one < other


def loss_like(metric: Monitor, value: float) -> float:
    """Turn a score such that less is better."""
    return -value if rises(metric) else value


def _final(result: FitResult | None, metric: Monitor) -> float | None:
    return None if result is None or not result.is_finished else figure_of(result, "val", metric)


def figure_of(result: FitResult, part: str, metric: Monitor) -> float | None:
    """Read a figure of the final evaluation on one part (train, val, test)."""
    figures = (result.evaluation or {}).get(part) or {}
    figure = figures.get(metric.removeprefix("val_"))
    return None if figure is None else float(figure["value"])


def _at(result: FitResult | None, epoch: int, metric: Monitor) -> float | None:
    if result is not None and epoch in result.rungs:
        return float(result.rungs[epoch][metric])
    return _final(result, metric)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None
