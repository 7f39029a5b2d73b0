"""The plan `fit`: one fit per division, and one more on all rows but the test rows where it was asked for.

One division gives that fit's final evaluation. Several (cross-validation, Stone 1974) give the mean over folds, the scores
pooled over all rows held out, and no network of their own: that is the refit's.
"""

import statistics
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from data.counting import counted
from data.dataset import Array
from data.splits.division import Division
from data.splits.spec import TimeSeriesSpec
from jobs.plans.divided import Ended, PooledFigures, asking, pooled, summaries, summary
from jobs.plans.fit.result import FitPlanResult
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.fits import Conclusion, FitResult, FitRows, Plan, PlannedFit, Round, unfinished
from jobs.plans.maker import FitMaker
from jobs.plans.results import FitFigures, Interval, ModelOf, Spread, fit_figures, shown
from jobs.rows import steps_per_epoch


def plan(spec: FitPlanSpec, maker: FitMaker) -> Plan:
    """Ask for one fit per division, then for the refit; the job needs all of them to finish."""
    divisions = maker.divisions()
    fits = [maker.fit(one.label, _rows(one, spec, is_alone=len(divisions) == 1), place=one.place) for one in divisions]
    everything = all_but_test(maker, divisions[0])
    steps = steps_per_epoch(maker.spec, len(everything)) * maker.spec.training.max_epochs
    results = yield Round(fits=fits, later_fits=int(spec.refit), later_steps=steps if spec.refit else 0)
    failure = unfinished(results)
    if failure is not None:
        return failure
    ended = list(zip(fits, results, strict=True))
    if not spec.refit:
        return _conclusion(maker, divisions, ended, None)
    epochs = median_epoch([result.best_epoch for result in results if result.best_epoch is not None])
    last = maker.refit("refit", everything, divisions[0].test, stop_at=epochs)
    results = yield Round(fits=[last])
    return unfinished(results) or _conclusion(maker, divisions, ended, (last, results[0]))


def _rows(division: Division, spec: FitPlanSpec, *, is_alone: bool) -> partial[FitRows]:
    """Let the fit that stays the job's model measure the test rows, and folds answer for the rows held out: these are pooled."""
    if not is_alone:
        return partial(asking, division)
    test = division.test[:0] if spec.refit else division.test
    return partial(FitRows, train=division.train, val=division.val, test=test)


def all_but_test(maker: FitMaker, division: Division) -> Array:
    """Give every row that is not a test row; of a time series the gap before the test rows is left out as well."""
    rows = np.setdiff1d(np.arange(maker.dataset.info.num_rows), division.test)
    split = maker.spec.split
    if not (isinstance(split, TimeSeriesSpec) and split.gap_rows and len(division.test)):
        return rows
    times = maker.dataset.times
    ordered = rows if times is None else rows[np.argsort(times[rows], kind="stable")]
    return np.sort(ordered[: -split.gap_rows])


def median_epoch(best: Sequence[int]) -> int:
    """Give the median of best epochs to the nearest, halves up, at least 1."""
    return max(1, int(statistics.median(best) + 0.5))


def _conclusion(maker: FitMaker, divisions: Sequence[Division], ended: Sequence[Ended], refitted: Ended | None) -> Conclusion:
    folds = [fit_figures(*one) for one in ended]
    final = refitted if refitted is not None else ended[0] if len(ended) == 1 else None
    evaluation = {} if final is None else dict(final[1].evaluation or {})
    is_divided = len(ended) > 1
    over = summary(maker.dataset, ended)
    found = pooled(maker.dataset, ended, maker.spec.evaluation.resamples, maker.seed) if is_divided else None
    worst = max(folds, key=lambda one: (one.val or {}).get("loss", 0.0)) if is_divided else None
    said = (
        _folds_said(folds, over, found, worst)
        if found is not None and worst is not None
        else _fit_said(folds[0], ended[0][1].evaluation or {})
    )
    if refitted is not None:
        said += _refit_said(*refitted)
    result = FitPlanResult(
        sentence=said,
        fits=[*folds, *([] if refitted is None else [fit_figures(*refitted)])],
        model=None if final is None else ModelOf(fits=[final[0].number]),
        plan="fit",
        divisions=summaries(maker.dataset, divisions),
        summary=over,
        pooled=found,
        worst_fit=None if worst is None else worst.number,
        refit_epochs=None if refitted is None else refitted[0].stop_at,
        fit=None if final is None else final[0].number,
        **evaluation,
    )
    return Conclusion(result=result.model_dump(mode="json"))


def _folds_said(folds: Sequence[FitFigures], summary: Mapping[str, Spread], found: PooledFigures, worst: FitFigures) -> str:
    assert worst.val is not None
    metric = "" if found.accuracy is None else f" and the accuracy {shown(found.accuracy)}"
    return (
        f"over {len(folds)} folds the mean validation loss is {shown(summary['val_loss'])} (95 % t interval of the mean); "
        f"pooled over {counted(found.rows, 'row')} held out the loss is {shown(found.loss)}{metric}; "
        f"{worst.label} is the worst with a loss of {shown(worst.val['loss'])}"
    )


def _fit_said(fit: FitFigures, evaluation: Mapping[str, Any]) -> str:
    if fit.val is None or not fit.val:
        said = "no rows were held out to validate" + ("" if not fit.train else f"; the training loss is {shown(fit.train['loss'])}")
    else:
        gap = evaluation.get("generalization_gap")
        said = f"the validation loss is {_interval_said(evaluation['val'])}"
        said += "" if gap is None else f" and the generalization gap {shown(Interval(**gap))}"
    return said + ("" if not fit.test else f"; the test loss is {_interval_said(evaluation['test'])}")


def _refit_said(planned: PlannedFit, result: FitResult) -> str:
    said = f"; refitted on {counted(planned.num_rows['train'], 'row')} for {counted(planned.stop_at or 0, 'epoch')}"
    test = (result.evaluation or {}).get("test")
    return said if test is None else f"{said}, the test loss is {_interval_said(test)}"


def _interval_said(split: Mapping[str, Any]) -> str:
    return shown(Interval(**split["loss"]))
