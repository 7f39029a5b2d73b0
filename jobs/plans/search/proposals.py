"""What to try next, given what came of what was tried: Optuna's tree-structured Parzen estimator, asked and told in memory."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.storages import InMemoryStorage
from optuna.study import create_study
from optuna.trial import Trial, TrialState

from jobs.plans.search.space import Settings, in_order, rounded
from jobs.plans.search.spec import AxisSpec, ListedSpec


class Proposals:
    """Proposes settings of a space; deterministic for a seed and what it is told, in the order in which it is told."""

    def __init__(self, space: Mapping[str, AxisSpec], seed: int, *, rises: bool) -> None:
        """Start with nothing known; `seed` has 32 bits, `rises` tells that more is better."""
        self._space = space
        self._distributions = {pointer: _distribution(axis) for pointer, axis in space.items()}
        with _quietly():
            self._study = create_study(
                storage=InMemoryStorage(), sampler=TPESampler(seed=seed), direction="maximize" if rises else "minimize"
            )

    def ask(self) -> tuple[Trial, Settings]:
        """Propose one; what was proposed and not told yet is kept away from."""
        trial = self._study.ask(self._distributions)
        settings: Settings = {}
        for pointer, axis in self._space.items():
            value = trial.params[pointer]
            settings[pointer] = axis.values[value] if isinstance(axis, ListedSpec) else rounded(axis, value)
        return trial, in_order(settings)

    def tell(self, trial: Trial, value: float | None) -> None:
        """Say how a proposal did; None: it could not be scored, which counts as worse than any score."""
        if value is None:
            # Failed trials are left out of the model, which then proposes the same again; pruned ones rank below all scores.
            self._study.tell(trial, state=TrialState.PRUNED)
        else:
            self._study.tell(trial, value)


def _distribution(axis: AxisSpec) -> BaseDistribution:
    if isinstance(axis, ListedSpec):
        return CategoricalDistribution(range(len(axis.values)))
    if axis.integer:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the one line back that a new study writes to standard error, and touch no level that others may have set."""

    def nothing(_record: logging.LogRecord) -> bool:
        return False

    logger = logging.getLogger("optuna.storages._in_memory")
    logger.addFilter(nothing)
    try:
        yield
    finally:
        logger.removeFilter(nothing)
