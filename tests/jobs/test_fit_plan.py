"""The plan `fit`: what folds and a refit amount to."""

from typing import Any

import numpy as np
import pytest

from data import builtin
from data.dataset import Array, Dataset
from jobs.applicability import has_validation
from jobs.materialize import materialize
from jobs.plans.fit.plan import median_epoch
from jobs.plans.fit.problems import problems
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.results import Interval, shown, shown_mean
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus
from tests.factories import a_dataset
from tests.plans import Trainer, real, resolved, run, scripted
from training.loop import train
from training.records import EpochRecord
from training.stack import Stack

IRIS = builtin.load("iris")
TEN = a_dataset(np.arange(10.0)[:, None], np.arange(10) % 2, name="ten")
NUMBERS = a_dataset(np.arange(10.0)[:, None], np.arange(10.0), name="numbers")
FOLDS = {"name": "k_fold", "folds": 3, "by": "random"}
BY_FOLD = {1: 0.0, 2: 1.0, 3: 1.0}


def _by_fold(fit: PlannedFit) -> float:
    return BY_FOLD[int(fit.place["fold"])]


def _all_right_or_all_wrong(fit: PlannedFit, rows: Array) -> Array:
    """Name every class right in fold 1, wrong in the others."""
    named = TEN.y[rows] if _by_fold(fit) == 0 else 1 - TEN.y[rows]
    return np.where(np.arange(2) == named[:, None], 0.75, 0.25)


def _at_epochs(trainer: Trainer, best: dict[int, int]) -> Trainer:
    def ended(fit: PlannedFit) -> FitResult:
        result = trainer(fit)
        return FitResult(**{**vars(result), "best_epoch": best.get(fit.number, result.best_epoch)})

    return ended


def test_the_mean_over_folds_and_the_pooled_score_are_two_figures() -> None:
    """B074: folds of 4, 3 and 3 rows with accuracies 1, 0 and 0."""
    job = resolved(TEN, split=FOLDS)
    ran = run(job.spec, TEN, scripted(_by_fold, _all_right_or_all_wrong))
    assert [fit["num_rows"]["val"] for fit in ran.result["fits"]] == [4, 3, 3]
    over = ran.result["summary"]["val_accuracy"]
    assert over["mean"] == pytest.approx(1 / 3)
    assert over["std"] == pytest.approx(np.std([1, 0, 0], ddof=1))
    assert over["low"] == pytest.approx(1 / 3 - 4.302653 * over["std"] / 3**0.5)
    pooled = ran.result["pooled"]
    assert (pooled["rows"], pooled["accuracy"]["value"]) == (10, 0.4)
    assert pooled["loss"]["value"] == pytest.approx(-0.4 * np.log(0.75) - 0.6 * np.log(0.25))
    assert pooled["accuracy"]["low"] < 0.4 < pooled["accuracy"]["high"]
    assert ran.result["worst_fit"] == 2
    assert ran.result["model"] is None
    assert ran.result["fit"] is None
    assert "over 3 folds" in ran.result["sentence"]


def test_two_folds_spread_with_n_minus_1_and_one_has_no_spread() -> None:
    """B074: scores 1 and 3 have a standard deviation of 1.4142; one fold has none, not NaN."""
    job = resolved(TEN, split={**FOLDS, "folds": 2})
    ran = run(job.spec, TEN, scripted(lambda fit: {1: 1.0, 2: 3.0}[fit.number], lambda fit, rows: np.full((len(rows), 2), 0.5)))
    assert ran.result["summary"]["val_loss"] == pytest.approx(
        {"mean": 2.0, "std": 2**0.5, "low": 2 - 12.706205, "high": 2 + 12.706205, "count": 2}
    )
    one = resolved(TEN, split={"name": "time_series", "folds": 1})
    alone = run(one.spec, TEN, scripted(lambda fit: 1.0)).result
    assert alone["summary"]["val_loss"] == {"mean": 1.0, "std": None, "low": None, "high": None, "count": 1}
    assert alone["pooled"] is None


def test_a_single_division_is_evaluated_as_before_and_measures_the_test_rows() -> None:
    job = resolved(IRIS, split={"name": "holdout", "test_fraction": 0.2}, training={"max_epochs": 3})
    ran = run(job.spec, IRIS, real(IRIS))
    [fit] = ran.results.values()
    assert fit.evaluation is not None
    assert fit.evaluation["test"] is not None
    assert {name: ran.result[name] for name in fit.evaluation} == fit.evaluation
    assert (ran.result["plan"], ran.result["fit"], ran.result["model"]["fits"]) == ("fit", 1, [1])
    assert ran.planned[1].rows().asked is None
    [division] = ran.result["divisions"]
    assert division["num_rows"] == {"train": 75, "val": 45, "test": 30}
    assert division["class_counts"] == {"train": [25] * 3, "val": [15] * 3, "test": [10] * 3}


def test_without_validation_rows_the_sentence_says_so() -> None:
    job = resolved(TEN, split={"name": "holdout", "val_fraction": 0, "test_fraction": 0.2})
    ran = run(job.spec, TEN, scripted(lambda fit: 0.5))
    assert ran.result["sentence"] == "no rows were held out to validate; the training loss is 0.5; the test loss is 0.5 [0.5, 0.5]"


def test_pooled_numbers_are_scored_about_the_mean_of_all_rows_held_out() -> None:
    job = resolved(NUMBERS, split={**FOLDS, "folds": 2})
    ran = run(job.spec, NUMBERS, scripted(lambda fit: 1.0, lambda fit, rows: NUMBERS.y[rows][:, None] + fit.number))
    pooled = ran.result["pooled"]
    assert pooled["loss"]["value"] == 2.5
    assert pooled["rmse"]["value"] == 2.5**0.5
    assert pooled["r2"]["value"] == pytest.approx(1 - 25 / 82.5)


@pytest.mark.parametrize(("folds", "is_told"), [(10, False), (5, True)])
def test_r2_is_left_out_of_the_summary_where_validation_targets_have_no_variation(folds: int, is_told: bool) -> None:
    fields = {"split": {**FOLDS, "folds": folds}, "training": {"max_epochs": 1}, "network": {"name": "mlp", "hidden_units": [2]}}
    result = run(resolved(NUMBERS, **fields).spec, NUMBERS, real(NUMBERS)).result
    assert ("val_r2" in result["summary"], "r2_gap" in result["summary"]) == (is_told, is_told)
    assert {"val_loss", "val_rmse", "train_r2"} < set(result["summary"])


def test_a_row_that_is_held_out_repeatedly_counts_once_with_the_mean_of_its_figures() -> None:
    job = resolved(NUMBERS, split={**FOLDS, "folds": 2, "repeats": 2})
    assert [fit.place["repeat"] for fit in job.first_round.fits] == [1, 1, 2, 2]
    ran = run(job.spec, NUMBERS, scripted(lambda fit: 1.0, lambda fit, rows: NUMBERS.y[rows][:, None] + int(fit.place["repeat"])))
    pooled = ran.result["pooled"]
    assert (pooled["rows"], pooled["loss"]["value"]) == (10, 2.5)
    assert pooled["loss"]["low"] == pooled["loss"]["high"] == 2.5
    assert ran.result["summary"]["val_loss"]["count"] == 4


@pytest.mark.parametrize(("best", "epoch"), [([3], 3), ([1, 2, 9], 2), ([1, 4], 3), ([2, 3], 3), ([0, 0, 5], 1), ([0, 1, 1, 2], 1)])
def test_the_median_best_epoch_is_the_nearest_halves_up_and_at_least_1(best: list[int], epoch: int) -> None:
    assert median_epoch(best) == epoch


def test_a_refit_trains_on_all_rows_but_the_test_rows_and_alone_measures_these() -> None:
    job = resolved(TEN, split={"name": "holdout", "test_fraction": 0.2}, plan={"name": "fit", "refit": True}, early_stopping={})
    ran = run(job.spec, TEN, _at_epochs(scripted(lambda fit: 0.5), {1: 7}))
    first, second = ran.planned[1], ran.planned[2]
    assert [(one.later_fits, one.later_steps) for one in ran.rounds] == [(1, 50), (0, 0)]
    assert (first.num_rows, second.num_rows) == ({"train": 5, "val": 3, "test": 0}, {"train": 8, "val": 0, "test": 2})
    assert set(second.rows().train) == set(first.rows().train) | set(first.rows().val)
    assert set(second.rows().test) == set(range(10)) - set(second.rows().train)
    assert (second.stop_at, second.steps_planned) == (7, 7)
    assert (second.spec.training.max_epochs, second.spec.training.kept_weights, second.spec.early_stopping) == (50, "last", None)
    assert second.seed == first.seed == 0
    assert ran.result["model"]["fits"] == [2]
    assert (ran.result["fit"], ran.result["refit_epochs"], ran.result["val"]) == (2, 7, None)
    assert ran.result["test"] == ran.results[2].evaluation["test"]  # type: ignore[index]
    assert [fit["number"] for fit in ran.result["fits"]] == [1, 2]
    assert ran.result["summary"]["val_loss"]["count"] == 1
    assert "refitted on 8 rows for 7 epochs, the test loss is 0.5" in ran.result["sentence"]


def test_folds_are_refitted_at_their_median_best_epoch() -> None:
    job = resolved(TEN, split=FOLDS, plan={"name": "fit", "refit": True})
    trainer = scripted(lambda fit: 0.5, lambda fit, rows: np.full((len(rows), 2), 0.5))
    ran = run(job.spec, TEN, _at_epochs(trainer, {1: 2, 2: 30, 3: 5}))
    assert ran.planned[4].stop_at == 5
    assert ran.planned[4].num_rows == {"train": 10, "val": 0, "test": 0}
    assert ran.result["pooled"]["rows"] == 10


@pytest.mark.parametrize("times", [None, np.arange(10)[::-1]])
def test_the_refit_of_a_time_series_keeps_the_gap_before_the_test_rows(times: Array | None) -> None:
    dataset = a_dataset(np.arange(10.0)[:, None], np.arange(10) % 2, times=times, name="series")
    split = {"name": "time_series", "folds": 2, "gap_rows": 1, "test_fraction": 0.2}
    job = resolved(dataset, split=split, plan={"name": "fit", "refit": True})
    ran = run(job.spec, dataset, scripted(lambda fit: 0.5, lambda fit, rows: np.full((len(rows), 2), 0.5)))
    rows = ran.planned[3].rows()
    order = np.arange(10) if times is None else np.argsort(times)
    assert set(rows.train) == set(order[:7])
    assert set(rows.test) == set(order[8:])
    assert all(ran.planned[number].num_rows["test"] == 0 for number in (1, 2))


def test_a_refit_follows_the_curve_of_a_fit_on_the_same_rows_until_it_stops() -> None:
    job = resolved(
        TEN,
        split={"name": "holdout"},
        plan={"name": "fit", "refit": True},
        schedule={"name": "cosine"},
        training={"max_epochs": 6, "batch_size": 4},
    )
    ran = run(job.spec, TEN, _at_epochs(real(TEN), {1: 4}))
    whole = resolved(
        TEN,
        split={"name": "holdout", "val_fraction": 0, "shuffle": False},
        schedule={"name": "cosine"},
        training={"max_epochs": 6, "batch_size": 4},
    )
    curves = [_curve(ran.planned[2], TEN), _curve(run(whole.spec, TEN, real(TEN)).planned[1], TEN)]
    assert [one.epoch for one in curves[0]] == [0, 1, 2, 3, 4]
    assert [(one.train_loss, one.learning_rate) for one in curves[0]] == [(one.train_loss, one.learning_rate) for one in curves[1][:5]]


@pytest.mark.parametrize(
    "fields",
    [{"split": {"name": "holdout", "val_fraction": 0}}, {"schedule": {"name": "reduce_on_plateau"}}],
)
def test_a_refit_that_could_not_be_made_is_refused(fields: dict[str, Any]) -> None:
    spec = JobSpec.model_validate({"dataset": "iris", "seed": 0, "plan": {"name": "fit", "refit": True}, **fields})
    [problem] = problems(spec, IRIS)
    assert (problem.pointer, problem.code) == ("/plan/refit", "needs_validation")
    assert not list(problems(JobSpec.model_validate({"dataset": "iris", "seed": 0, **fields}), IRIS))
    assert has_validation(spec, IRIS.info) == ("split" not in fields)


def test_a_failed_fold_fails_the_job_and_loses_no_other() -> None:
    """B097: fold 2 of 3 fails; the others stay, and no mean is made of them."""
    job = resolved(TEN, split=FOLDS, plan={"name": "fit", "refit": True})
    fine = scripted(_by_fold, _all_right_or_all_wrong)

    def trainer(fit: PlannedFit) -> FitResult:
        if fit.number != 2:
            return fine(fit)
        failure = {"kind": "internal", "detail": "it broke", "retryable": False}
        return FitResult(
            number=2, status=FitStatus.FAILED, row_hash=fit.row_hash, best_epoch=None, kept_epoch=None, evaluation=None, failure=failure
        )

    ran = run(job.spec, TEN, trainer)
    assert (ran.conclusion.result, ran.conclusion.failure, ran.conclusion.message) == (None, FailureKind.INTERNAL, "it broke")
    assert [ran.results[number].is_finished for number in (1, 2, 3)] == [True, False, True]
    assert len(ran.rounds) == 1


def _curve(fit: PlannedFit, dataset: Dataset) -> list[EpochRecord]:
    return [one for one in train(Stack([materialize(fit, dataset).fit])) if isinstance(one, EpochRecord)]


def test_every_fold_starts_from_the_same_untrained_network() -> None:
    """B023: with a learning rate of 0 no fold's loss moves from that of an untrained network."""
    job = resolved(IRIS, split=FOLDS, optimizer={"name": "sgd", "learning_rate": 0}, training={"max_epochs": 2})
    curves = [_curve(fit, IRIS) for fit in job.first_round.fits]
    for curve in curves:
        assert len({one.train_loss for one in curve}) == 1
        assert abs(curve[0].train_loss - np.log(3)) < 0.5
    made = [Stack([materialize(fit, IRIS).fit]).weights.arrays(0) for fit in job.first_round.fits]
    assert all(np.array_equal(made[0][name], one[name]) for one in made for name in made[0])


def test_folds_of_equal_content_give_equal_curves() -> None:
    """B023: nothing is carried from fold to fold."""
    twice = a_dataset(np.tile([[1.0, 2.0], [3.0, 1.0], [0.0, 5.0], [2.0, 2.0]], (2, 1)), np.tile([0, 1, 1, 0], 2), name="twice")
    job = resolved(twice, split={"name": "k_fold", "folds": 2, "by": "random", "shuffle": False}, training={"max_epochs": 4})
    one, other = (_curve(fit, twice) for fit in job.first_round.fits)
    assert [(a.train_loss, a.val_loss, a.objective) for a in one] == [(b.train_loss, b.val_loss, b.objective) for b in other]
    assert one[0].train_loss != one[4].train_loss


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"),
        (123.4, "123"),
        (2912.02, "2912"),
        (-1234.5, "-1235"),
        (999.7, "1000"),
        (1e-6, "1e-6"),
        (2.5e12, "2.5e12"),
        (2.5e-12, "2.5e-12"),
        (0.0, "0"),
    ],
)
def test_a_sentence_says_figures_to_what_they_are_worth(value: float, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "text"),
    [
        (0.003844, -0.0255, 0.0459, "0.0038 [-0.0255, 0.0459]"),
        (0.0145, 0.00303, 0.0339, "0.0145 [0.00303, 0.0339]"),
        (2912.02, 2.5, 6000.0, "2912 [2.5, 6000]"),
        (-1e-9, -0.5, 0.5, "0 [-0.5, 0.5]"),
        (0.12345, 0.0, 0.0, "0.123 [0, 0]"),
    ],
)
def test_a_value_has_no_more_decimals_than_its_interval(value: float, low: float, high: float, text: str) -> None:
    assert shown(Interval(value=value, low=low, high=high)) == text


def test_a_sentence_says_of_which_kind_the_interval_of_a_mean_is() -> None:
    over = Interval(value=0.1, low=-0.05, high=0.25)
    assert shown_mean(over, 3) == "0.1 [-0.05, 0.25] (95 % t interval of the mean over 3 folds)"
    assert shown_mean(over, 1) == "0.1 [-0.05, 0.25]"
