"""The plan `learning_curve`: the same spec on growing parts of each division's training rows (Cortes et al. 1993).

The validation rows and the seed stay the same. While the validation loss still falls from one part to the next by more than
chance, more rows would help.
"""

from collections.abc import Sequence
from functools import partial

from data.dataset import Array
from data.splits.division import Division
from jobs.plans.divided import Ended, asking, difference, summaries, summary
from jobs.plans.fits import Conclusion, Plan, Round, failed
from jobs.plans.learning_curve.result import LearningCurvePoint, LearningCurveResult
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec
from jobs.plans.learning_curve.subsets import subset
from jobs.plans.maker import FitMaker
from jobs.plans.results import Interval, fit_figures, loss_interval, shown, shown_mean, why_unfinished


def plan(spec: LearningCurvePlanSpec, maker: FitMaker) -> Plan:
    """Ask for all fits at once; at least one part has to finish in every division."""
    divisions = maker.divisions()
    fits = [
        maker.fit(
            f"{100 * fraction:g} % of the rows" if len(divisions) == 1 else f"{100 * fraction:g} % of the rows, {one.label}",
            partial(asking, one, part(maker, one, fraction)),
            place={"fraction": fraction, **one.place},
            origin=f"/plan/fractions/{i}",
        )
        for i, fraction in enumerate(spec.fractions)
        for one in divisions
    ]
    results = yield Round(fits=fits)
    ended, count = list(zip(fits, results, strict=True)), len(divisions)
    parts = [ended[i * count : (i + 1) * count] for i in range(len(spec.fractions))]
    points = [_point(maker, fraction, part) for fraction, part in zip(spec.fractions, parts, strict=True)]
    known = [i for i, point in enumerate(points) if point.val_loss is not None]
    if not known:
        return failed(next(result for result in results if not result.is_finished))
    change = None
    if len(known) > 1:
        before, last = known[-2:]
        value = points[last].summary["val_loss"].mean - points[before].summary["val_loss"].mean
        change = difference(maker.dataset, parts[last], parts[before], value, maker.spec.evaluation.resamples, maker.seed)
    result = LearningCurveResult(
        sentence=_sentence([points[i] for i in known], change),
        fits=[fit_figures(*one) for one in ended],
        plan="learning_curve",
        divisions=summaries(maker.dataset, divisions),
        points=points,
        last_change=change,
        would_more_rows_help=None if change is None else change.high < 0,
    )
    return Conclusion(result=result.model_dump(mode="json"))


def part(maker: FitMaker, division: Division, fraction: float) -> Array:
    """Give a share of a division's training rows; of one division, larger shares contain smaller ones."""
    return subset(maker.spec, maker.dataset, division.train, fraction, maker.derived_seed("learning_curve", division.label))


def _point(maker: FitMaker, fraction: float, ended: Sequence[Ended]) -> LearningCurvePoint:
    rows = [planned.num_rows["train"] for planned, _ in ended]
    unfinished = [one for one in ended if not one[1].is_finished]
    over = {} if unfinished else summary(maker.dataset, ended)
    return LearningCurvePoint(
        fraction=fraction,
        num_rows=rows,
        mean_rows=sum(rows) / len(rows),
        fits=[planned.number for planned, _ in ended],
        val_loss=None if unfinished else loss_interval(over["val_loss"], ended[0][1]),
        summary=over,
        why=why_unfinished(*unfinished[0]) if unfinished else None,
    )


def _sentence(points: Sequence[LearningCurvePoint], change: Interval | None) -> str:
    last = points[-1]
    assert last.val_loss is not None
    loss = shown_mean(last.val_loss, len(last.fits), "divisions")
    if len(points) == 1:
        return f"only {last.fraction:g} of the training rows could be fitted: validation loss {loss}"
    before = points[-2]
    between = f"from {before.mean_rows:.0f} to {last.mean_rows:.0f} training rows the validation loss"
    if change is None:
        value = last.summary["val_loss"].mean - before.summary["val_loss"].mean
        return f"it cannot be told whether more rows would help: {between} changes by {shown(value)}, on a single validation row, to {loss}"
    if change.high < 0:
        return f"more rows would help: {between} still falls, by {shown(_turned(change))}, to {loss}"
    if change.low > 0:
        return f"more rows did not help: {between} rises by {shown(change)}, to {loss}"
    return f"it cannot be told whether more rows would help: {between} changes by {shown(change)}, which is not distinguishable from no change, to {loss}"


def _turned(change: Interval) -> Interval:
    return Interval(value=-change.value, low=-change.high, high=-change.low)
