"""What a job concluded with, whatever its plan: which of its fits, and figures that are all of them. For lists and comparisons of jobs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from jobs.plans.bagging.result import BaggingResult
from jobs.plans.bias_variance.result import BiasVarianceResult
from jobs.plans.boosting.result import BoostingResult
from jobs.plans.comparison.result import ComparisonResult
from jobs.plans.conclusions import PlanResult
from jobs.plans.fit.result import FitPlanResult
from jobs.plans.learning_curve.result import LearningCurveResult
from jobs.plans.nested_cv.result import NestedCvResult
from jobs.plans.results import METRIC_WORDS, FitFigures, Interval, Spread, named_figures
from jobs.plans.search.result import SearchResult


@dataclass(frozen=True)
class Figure:
    """A figure, with the bounds of its 95 % interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


Figures = dict[str, Figure]
"""By name, as curves name them: val_loss, test_accuracy, generalization_gap, ..."""
_Found = Mapping[str, Any]
"""Figures of one part of the rows: numbers, intervals, or the evaluation of a fit, which has more than figures."""


@dataclass(frozen=True)
class Outcome:
    """Numbers of the fits that a job's figures are of, those in words, and the figures.

    Figures are of kept weights. A test figure is of the fit or the ensemble that was left, the one that saw no test row before.
    """

    fits: list[int]
    of: str
    figures: Figures


def outcome_of(result: PlanResult) -> Outcome:
    """Read what a job concluded with from its plan's result. A plan may lack a figure: a vote of classes has no loss."""
    match result:
        case FitPlanResult():
            found = _of_fit(result)
        case ComparisonResult():
            [best] = [one for one in result.variants if one.label == result.best]
            figures = _means(best.summary) | _part("val", {"loss": best.val_loss})
            found = Outcome(best.fits, f"variant {best.label}{_over(best.fits)}", figures)
        case SearchResult():
            found = _of_search(result)
        case NestedCvResult():
            found = _of_nested(result)
        case BaggingResult():
            found = _of_vote(result, None)
        case BoostingResult():
            found = _of_vote(result, result.train)
        case LearningCurveResult():
            last = result.points[-1]
            of = f"{100 * last.fraction:.4g} % of the rows{_over(last.fits)}"
            found = Outcome(last.fits, of, _means(last.summary) | _part("val", {"loss": last.val_loss}))
        case BiasVarianceResult():
            found = _of_resamples(result)
        case _:
            assert_never(result)
    return found


def _of_fit(result: FitPlanResult) -> Outcome:
    """Of one division the fit; of several the mean over folds, and test figures of the refit."""
    test = _part("test", result.test)
    folds = [fit.number for fit in result.fits if fit.val is not None]
    if result.val is None and folds:
        of = f"mean over {_counted(folds, 'fold')}" if len(folds) > 1 else "its fit"
        return Outcome(folds, f"{of}{'; test: the refit' if test else ''}", _means(result.summary) | test)
    gaps = {name: getattr(result, name) for name in ("generalization_gap", "accuracy_gap", "rmse_gap", "r2_gap")}
    own = {**_part("train", result.train), **_part("val", result.val), **test}
    figures = own | {name: _figure(gap) for name, gap in gaps.items() if gap is not None}
    return Outcome([] if result.fit is None else [result.fit], "its fit", figures)


def _of_search(result: SearchResult) -> Outcome:
    [chosen] = [one for one in result.candidates if one.number == result.choice.chosen]
    test = _part("test", result.refit.test if result.refit else None)
    of = f"candidate {chosen.number}{_over(chosen.fits)}{'; test: its refit' if test else ''}"
    score = {} if chosen.score is None else _means({result.metric: chosen.score})
    return Outcome(chosen.fits, of, _averaged(_among(result.fits, chosen.fits)) | score | test)


def _of_nested(result: NestedCvResult) -> Outcome:
    """Of the outer folds' choices: trained on inner rows, validated on the outer ones."""
    numbers = [fold.fit for fold in result.folds]
    outer = _averaged([_part("val", {name: one.value for name, one in fold.outer.items()}) for fold in result.folds])
    figures = _averaged(_among(result.fits, numbers)) | outer | _means({result.metric: result.outer_score})
    return Outcome(numbers, f"the choices{_over(numbers, 'outer fold')}; validation: the outer rows", figures)


def _of_vote(result: BaggingResult | BoostingResult, train: _Found | None) -> Outcome:
    members = result.model.fits if result.model else []
    figures = {**_part("train", train), **_part("val", result.val), **_part("test", result.test)}
    return Outcome(members, f"the vote of {_counted(members, 'member')}", figures)


def _of_resamples(result: BiasVarianceResult) -> Outcome:
    """Of the networks of the setting with the least error. Their fits stand point after point."""
    fits = result.fits[result.best * result.resamples : (result.best + 1) * result.resamples]
    label, of = result.points[result.best].label, f"mean over {_counted(fits, 'resample')}"
    return Outcome([fit.number for fit in fits], f"{label}, {of}" if label else of, _averaged([_of_one(fit) for fit in fits]))


def _among(fits: Iterable[FitFigures], numbers: Sequence[int]) -> list[Figures]:
    return [_of_one(fit) for fit in fits if fit.number in numbers]


def _of_one(fit: FitFigures) -> Figures:
    return {name: Figure(value) for name, value in named_figures(fit).items()}


def _part(part: str, found: _Found | None) -> Figures:
    """Name the figures of one part of the rows as curves do."""
    return {f"{part}_{name}": _figure(one) for name in METRIC_WORDS if (one := (found or {}).get(name)) is not None}


def _figure(found: float | Interval | Mapping[str, float]) -> Figure:
    if isinstance(found, Interval):
        return Figure(found.value, found.low, found.high)
    return Figure(found["value"], found["low"], found["high"]) if isinstance(found, Mapping) else Figure(found)


def _means(summary: Mapping[str, Spread]) -> Figures:
    return {name: Figure(one.mean, one.low, one.high) for name, one in summary.items()}


def _averaged(each: Sequence[Figures]) -> Figures:
    """Average what all have."""
    names = [name for name in (each[0] if each else ()) if all(name in one for one in each)]
    return {name: Figure(sum(one[name].value for one in each) / len(each)) for name in names}


def _counted(each: Sequence[Any], what: str) -> str:
    return f"{len(each)} {what}{'' if len(each) == 1 else 's'}"


def _over(each: Sequence[Any], what: str = "fold") -> str:
    return f", mean over {_counted(each, what)}" if len(each) > 1 else ""
