"""The plan `learning_curve`: growing parts of the training rows, and whether more would help."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from data import builtin
from data.dataset import Array, Dataset
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.learning_curve.problems import problems
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset
from tests.plans import Trainer, real, resolved, run, scripted

IRIS = builtin.load("iris")
FORTY = a_dataset(np.arange(40.0)[:, None], np.arange(40) % 2, name="forty")
NUMBERS = a_dataset(np.arange(40.0)[:, None], np.arange(40.0), name="numbers")
TIMED = a_dataset(np.arange(40.0)[:, None], np.arange(40) % 2, times=np.arange(40)[::-1], name="timed")
FOLDS = {"name": "k_fold", "folds": 2, "by": "random"}


def _plan(*fractions: float) -> dict[str, Any]:
    return {"name": "learning_curve", "fractions": list(fractions)}


def _by_fraction(losses: dict[float, float]) -> Trainer:
    def loss(fit: PlannedFit) -> float:
        return losses[float(fit.place["fraction"])]

    def outputs(fit: PlannedFit, rows: Array) -> Array:
        right = np.exp(-loss(fit))
        return np.where(np.arange(2) == FORTY.y[rows][:, None], right, 1 - right)

    return scripted(loss, outputs)


def _ending(trainer: Trainer, *numbers: int) -> Trainer:
    def ended(fit: PlannedFit) -> FitResult:
        if fit.number not in numbers:
            return trainer(fit)
        status = FitStatus.DIVERGED
        return FitResult(
            number=fit.number,
            status=status,
            row_hash=fit.row_hash,
            best_epoch=0,
            kept_epoch=None,
            evaluation=None,
            message="no longer finite",
        )

    return ended


@pytest.mark.parametrize(
    ("dataset", "split"),
    [
        (IRIS, {"name": "holdout", "test_fraction": 0.1}),
        (IRIS, {"name": "k_fold", "folds": 3}),
        (NUMBERS, {"name": "holdout"}),
        (TIMED, {"name": "holdout"}),
    ],
)
def test_parts_grow_around_one_another_and_are_measured_on_the_same_rows(dataset: Dataset, split: dict[str, Any]) -> None:
    job = resolved(dataset, plan={"name": "learning_curve"}, split=split)
    fits = job.first_round.fits
    count = len(job.divisions)
    assert [fit.place["fraction"] for fit in fits[::count]] == [0.1, 0.2, 0.4, 0.7, 1.0]
    for i, division in enumerate(job.divisions):
        parts = [fit.rows() for fit in fits[i::count]]
        for smaller, larger in pairwise(parts):
            assert set(smaller.train) < set(larger.train)
        assert [len(part.train) for part in parts] == [int(f * len(division.train) + 0.5) for f in (0.1, 0.2, 0.4, 0.7, 1.0)]
        assert all(np.array_equal(part.val, division.val) and part.asked is part.val and len(part.test) == 0 for part in parts)
        assert np.array_equal(parts[-1].train, division.train)
    assert {fit.seed for fit in fits} == {0}


def test_every_part_keeps_the_shares_of_the_classes() -> None:
    y = np.repeat([0, 1, 2], [60, 30, 10])
    uneven = a_dataset(np.arange(100.0)[:, None], y, name="uneven")
    job = resolved(uneven, plan=_plan(0.1, 0.3, 0.55), split={"name": "holdout", "val_fraction": 0.2})
    for fit, rows in zip(job.first_round.fits, (8, 24, 44), strict=True):
        counts = np.bincount(y[fit.rows().train], minlength=3)
        assert counts.sum() == rows
        assert np.abs(counts - rows * np.array([0.6, 0.3, 0.1])).max() < 1


def test_another_seed_draws_other_rows_and_every_fold_draws_its_own() -> None:
    drawn = [resolved(NUMBERS, plan=_plan(0.5, 1.0), seed=seed).first_round.fits[0].rows().train for seed in (0, 1)]
    assert set(drawn[0]) != set(drawn[1])
    again = resolved(NUMBERS, plan=_plan(0.2, 0.5), seed=0).first_round.fits[1].rows().train
    assert np.array_equal(drawn[0], again)


@pytest.mark.parametrize("dataset", [TIMED, FORTY])
def test_rows_in_order_of_time_give_the_latest(dataset: Dataset) -> None:
    job = resolved(dataset, plan=_plan(0.5, 1.0), split={"name": "time_series", "folds": 3})
    times = np.arange(40) if dataset.times is None else dataset.times
    for i, division in enumerate(job.divisions):
        half = job.first_round.fits[i].rows().train
        assert len(half) == 5 * (i + 1)
        rest = np.setdiff1d(division.train, half)
        assert times[rest].max() < times[half].min()
        assert times[half].max() < times[division.val].min()


def test_a_loss_that_still_falls_says_that_more_rows_would_help() -> None:
    job = resolved(FORTY, plan=_plan(0.25, 0.5, 1.0), split=FOLDS)
    ran = run(job.spec, FORTY, _by_fraction({0.25: 0.9, 0.5: 0.5, 1.0: 0.2}))
    assert [(one["fraction"], one["num_rows"], one["mean_rows"], one["fits"]) for one in ran.result["points"]] == [
        (0.25, [5, 5], 5, [1, 2]),
        (0.5, [10, 10], 10, [3, 4]),
        (1.0, [20, 20], 20, [5, 6]),
    ]
    assert [one["summary"]["val_loss"]["mean"] for one in ran.result["points"]] == [0.9, 0.5, 0.2]
    assert ran.result["last_change"] == pytest.approx({"value": -0.3, "low": -0.3, "high": -0.3})
    assert ran.result["would_more_rows_help"] is True
    assert ran.result["sentence"].startswith(
        "more rows would help: from 10 to 20 training rows the validation loss still falls, by 0.3 [0.3, 0.3]"
    )
    assert ran.result["model"] is None
    assert len(ran.result["divisions"]) == 2


@pytest.mark.parametrize(("last", "begins"), [(0.5, "it cannot be told whether more rows would help"), (0.6, "more rows did not help")])
def test_a_loss_that_no_longer_falls_does_not_say_that_more_rows_would_help(last: float, begins: str) -> None:
    job = resolved(FORTY, plan=_plan(0.5, 1.0))
    ran = run(job.spec, FORTY, _by_fraction({0.5: 0.5, 1.0: last}))
    assert ran.result["would_more_rows_help"] is False
    assert ran.result["sentence"].startswith(begins)


def test_a_single_validation_row_cannot_tell_whether_more_rows_would_help() -> None:
    job = resolved(FORTY, plan=_plan(0.5, 1.0), split={"name": "holdout", "val_fraction": 0.025, "shuffle": False})
    assert job.first_round.fits[0].num_rows["val"] == 1
    ran = run(job.spec, FORTY, _by_fraction({0.5: 0.5, 1.0: 0.2}))
    assert (ran.result["last_change"], ran.result["would_more_rows_help"]) == (None, None)
    assert ran.result["sentence"].startswith("it cannot be told whether more rows would help: from 20 to 39 training rows")


def test_a_part_that_diverged_has_no_figures_and_says_why() -> None:
    job = resolved(FORTY, plan=_plan(0.25, 0.5, 1.0), split=FOLDS)
    trainer = _by_fraction({0.25: 0.9, 0.5: 0.5, 1.0: 0.2})
    ran = run(job.spec, FORTY, _ending(trainer, 4))
    middle = ran.result["points"][1]
    assert (middle["summary"], middle["val_loss"]) == ({}, None)
    assert middle["why"] == "fit 4 (50 % of the rows, fold 2) diverged: no longer finite"
    assert ran.result["last_change"]["value"] == pytest.approx(-0.7)
    alone = run(job.spec, FORTY, _ending(trainer, 1, 4))
    assert (alone.result["last_change"], alone.result["would_more_rows_help"]) == (None, None)
    nothing = run(job.spec, FORTY, _ending(trainer, 1, 4, 5))
    assert (nothing.conclusion.result, nothing.conclusion.failure) == (None, FailureKind.DIVERGED)


def test_all_rows_give_the_fit_of_the_plan_fit() -> None:
    split, training = {"name": "holdout"}, {"max_epochs": 3}
    curve = run(resolved(IRIS, plan=_plan(0.3, 1.0), split=split, training=training).spec, IRIS, real(IRIS))
    alone = run(resolved(IRIS, split=split, training=training).spec, IRIS, real(IRIS))
    assert curve.results[2].evaluation == alone.results[1].evaluation
    assert curve.result["points"][1]["val_loss"] == alone.result["val"]["loss"]


REFUSED = {
    "descending": (FORTY, (0.5, 0.4), [("/plan/fractions/1", "not_ascending")]),
    "the same": (FORTY, (0.4, 0.4), [("/plan/fractions/1", "not_ascending")]),
    "no row": (NUMBERS, (0.01, 0.5), [("/plan/fractions/0", "too_few_rows")]),
    "equal rows": (NUMBERS, (0.5, 0.51), [("/plan/fractions/1", "same_rows")]),
    "one class": (
        a_dataset(np.arange(40.0)[:, None], np.arange(40) // 36, name="rare"),
        (0.1, 1.0),
        [("/plan/fractions/0", "single_class")],
    ),
    "nothing": (FORTY, (0.1, 1.0), []),
}


@pytest.mark.parametrize("case", REFUSED)
def test_parts_that_do_not_grow_or_hold_too_little_are_refused(case: str) -> None:
    dataset, fractions, expected = REFUSED[case]
    base = resolved(dataset)
    spec = JobSpec.model_validate({**base.spec.model_dump(mode="json"), "plan": _plan(*fractions)})
    assert [(problem.pointer, problem.code) for problem in problems(spec, dataset)] == expected


def test_a_column_that_is_empty_in_a_part_is_refused() -> None:
    x = np.column_stack([np.arange(40.0), np.full(40, np.nan)])
    x[0, 1] = 1.0
    gaps = a_dataset(x, np.arange(40.0), name="gaps")
    base = resolved(gaps, preprocessing={"missing": "median"}, split={"name": "holdout", "shuffle": False})
    spec = JobSpec.model_validate({**base.spec.model_dump(mode="json"), "plan": _plan(0.1, 1.0)})
    [problem] = problems(spec, gaps)
    assert (problem.pointer, problem.code) == ("/plan/fractions/0", "empty_column")
    assert problem.message.endswith("(at /preprocessing/missing)")


def test_a_learning_curve_needs_validation_rows() -> None:
    base = resolved(FORTY, split={"name": "holdout", "val_fraction": 0})
    spec = JobSpec.model_validate({**base.spec.model_dump(mode="json"), "plan": {"name": "learning_curve"}})
    assert [(problem.pointer, problem.code) for problem in problems(spec, FORTY)] == [("/plan", "needs_validation")]


@pytest.mark.parametrize("fractions", [[0.5], [0.0, 1.0], [0.5, 1.1], [i / 21 for i in range(1, 22)]])
def test_fractions_are_shares_and_not_too_many(fractions: list[float]) -> None:
    with pytest.raises(ValidationError, match="fractions"):
        JobSpec.model_validate({"dataset": "iris", "plan": _plan(*fractions)})
