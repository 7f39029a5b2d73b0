"""Verdicts, each from the numbers that lead to it."""

from typing import Any

import pytest

from data import builtin
from jobs.diagnosis import Diagnosis, diagnose, window
from jobs.materialize import materialize
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus
from tests.training.small import run

GUESS = 0.1
"""What always naming the largest of ten classes reaches."""


def _figures(train_loss: float, val_loss: float, train_accuracy: float, val_accuracy: float) -> dict[str, float]:
    return {"train_loss": train_loss, "val_loss": val_loss, "train_accuracy": train_accuracy, "val_accuracy": val_accuracy}


def _gap(value: float, low: float, high: float, metric: str = "accuracy") -> dict[str, Any]:
    return {f"{metric}_gap": {"value": value, "low": low, "high": high}}


def _verdict(
    best: dict[str, float] | None,
    last: dict[str, float] | None,
    *,
    best_epoch: int = 5,
    last_epoch: int = 10,
    evaluation: dict[str, Any] | None = None,
    status: FitStatus = FitStatus.FINISHED,
    guess: float | None = GUESS,
    earlier: dict[str, float] | None = None,
) -> Diagnosis | None:
    return diagnose(
        status=status,
        best_epoch=best_epoch,
        last_epoch=last_epoch,
        best=best,
        last=last,
        evaluation=evaluation,
        guess_accuracy=guess,
        earlier=earlier,
    )


LEARNED = _figures(0.05, 0.10, 0.99, 0.97)


def test_advice_names_no_knob_that_is_turned_already() -> None:
    overfitted = {"status": FitStatus.FINISHED, "best_epoch": 5, "last_epoch": 10, "best": LEARNED, "last": _figures(0.01, 0.12, 1.0, 0.96)}
    free, stopped = (diagnose(**overfitted, evaluation=None, guess_accuracy=GUESS, stopped_early=early) for early in (False, True))  # type: ignore[arg-type]
    assert free is not None
    assert stopped is not None
    assert free.advice.startswith("Set early_stopping, raise network.dropout")
    assert stopped.advice.startswith("Raise network.dropout")


def test_a_good_fit_whose_loss_is_higher_on_validation_rows_says_so() -> None:
    gap = {"generalization_gap": {"value": 0.13, "low": 0.01, "high": 0.3}, "accuracy_gap": {"value": 0.02, "low": -0.01, "high": 0.05}}
    found = _verdict(LEARNED, LEARNED, evaluation=gap)
    assert found is not None
    assert found.verdict == "good_fit"
    assert found.rule.endswith("its loss is higher on validation rows, and chance does not explain that")


@pytest.mark.parametrize(
    ("best", "last", "options", "verdict"),
    [
        (LEARNED, LEARNED, {}, "good_fit"),
        (LEARNED, _figures(0.01, 0.10, 1.0, 0.97), {}, "good_fit"),
        (LEARNED, _figures(0.01, 0.12, 1.0, 0.96), {}, "overfitting"),
        (LEARNED, LEARNED, {"best_epoch": 10}, "still_improving"),
        (_figures(2.3, 2.3, 0.10, 0.10), _figures(2.2, 2.2, 0.15, 0.15), {}, "underfitting"),
        # Labels that are noise: no epoch beats the untrained network, and the training rows are learned by heart.
        (_figures(2.3, 2.3, 0.10, 0.10), _figures(0.01, 7.0, 1.0, 0.10), {"best_epoch": 0}, "overfitting"),
        # What looks learned was there before the first update: the kept network is untrained.
        (_figures(0.66, 0.65, 0.6, 0.6), _figures(0.64, 0.66, 0.7, 0.6), {"best_epoch": 0}, "overfitting"),
        (_figures(0.66, 0.65, 0.6, 0.6), _figures(0.70, 0.66, 0.5, 0.6), {"best_epoch": 0}, "underfitting"),
        # A gap that opened before the best epoch and stayed.
        (LEARNED, LEARNED, {"evaluation": _gap(0.20, 0.15, 0.25)}, "overfitting"),
        (LEARNED, LEARNED, {"evaluation": _gap(0.20, -0.01, 0.41)}, "good_fit"),
        (LEARNED, LEARNED, {"evaluation": _gap(0.05, 0.03, 0.07)}, "good_fit"),
        (LEARNED, LEARNED, {"best_epoch": 10, "evaluation": _gap(0.20, 0.15, 0.25)}, "overfitting"),
    ],
)
def test_a_verdict_follows_from_the_numbers(best: dict[str, float], last: dict[str, float], options: dict[str, Any], verdict: str) -> None:
    found = _verdict(best, last, **options)
    assert found is not None
    assert found.verdict == verdict
    assert found.rule
    assert found.numbers


@pytest.mark.parametrize(
    ("best", "last", "options", "verdict", "cause", "said"),
    [
        # One high epoch at the end is no trend.
        (LEARNED, _figures(0.01, 0.12, 1.0, 0.96), {"earlier": _figures(0.02, 0.101, 1.0, 0.97)}, "good_fit", "nothing", "at the last epoch alone"),
        (LEARNED, _figures(0.01, 0.12, 1.0, 0.96), {"earlier": _figures(0.02, 0.115, 1.0, 0.97)}, "overfitting", "variance", "rose by more than 10%"),
        # Both losses rose: the steps are too large to stay where they were.
        (LEARNED, _figures(0.5, 0.9, 0.9, 0.9), {"earlier": _figures(0.4, 0.8, 0.9, 0.9)}, "good_fit", "steps", "both losses rose"),
        # Held so hard that it names some classes right and is sure of none.
        (_figures(2.28, 2.28, 0.23, 0.23), _figures(2.29, 2.29, 0.1, 0.1), {"evaluation": {"train": {"loss": {"value": 2.28}, "baseline_loss": 2.302}}}, "underfitting", "bias", "of guessing"),
        # Good as far as it goes.
        (_figures(1.5, 1.5, 0.4, 0.4), _figures(1.5, 1.5, 0.4, 0.4), {}, "good_fit", "bias", "33% of the way"),
        (LEARNED, LEARNED, {}, "good_fit", "nothing", "did not rise by much"),
        (_figures(2.3, 2.3, 0.3, 0.3), _figures(9.9, 9.9, 0.3, 0.3), {"best_epoch": 0}, "underfitting", "steps", "too large"),
    ],
)  # fmt: skip
def test_a_verdict_says_what_is_true_and_what_is_behind_it(
    best: dict[str, float], last: dict[str, float], options: dict[str, Any], verdict: str, cause: str, said: str
) -> None:
    found = _verdict(best, last, **options)
    assert found is not None
    assert (found.verdict, found.cause) == (verdict, cause)
    assert said in found.rule
    assert ("Keep it" in found.advice) is (cause == "nothing")
    assert ("Lower optimizer.learning_rate" in found.advice) is (cause == "steps")


@pytest.mark.parametrize(
    ("train_r2", "gap", "verdict"),
    [(0.05, 0.0, "underfitting"), (0.6, 0.02, "good_fit"), (0.9, 0.4, "overfitting")],
)
def test_numbers_are_judged_by_their_r2(train_r2: float, gap: float, verdict: str) -> None:
    figures = {"train_loss": 1.0, "val_loss": 1.2, "train_r2": train_r2, "val_r2": train_r2 - gap}
    found = _verdict(figures, figures, guess=None, evaluation=_gap(gap, gap / 2, gap * 2, "r2"))
    assert found is not None
    assert found.verdict == verdict


def test_a_diverged_fit_is_named_even_without_an_epoch() -> None:
    found = _verdict(None, None, status=FitStatus.DIVERGED)
    assert found is not None
    assert found.verdict == "diverged"


def test_no_verdict_is_given_too_early_or_without_validation_rows() -> None:
    assert _verdict(LEARNED, LEARNED, status=FitStatus.RUNNING) is None
    assert _verdict(None, None) is None
    only_train = {"train_loss": 0.1, "train_accuracy": 0.9}
    assert _verdict(only_train, only_train) is None


REAL: dict[str, dict[str, Any]] = {
    "overfitting": {"dataset": "digits", "split": {"name": "holdout", "val_fraction": 0.97}, "training": {"max_epochs": 60}},
    "underfitting": {"dataset": "digits", "optimizer": {"name": "sgd", "learning_rate": 1e-6}, "training": {"max_epochs": 5}},
    "still_improving": {"dataset": "digits", "optimizer": {"name": "sgd", "learning_rate": 0.01}, "training": {"max_epochs": 8}},
    "good_fit": {"dataset": "digits", "training": {"max_epochs": 60}, "early_stopping": {"patience": 5}},
    "diverged": {
        "dataset": "diabetes", "preprocessing": {"target": "none"}, "optimizer": {"name": "sgd", "learning_rate": 1e20}, "training": {"max_epochs": 5},
    },
}  # fmt: skip


@pytest.mark.parametrize("verdict", REAL)
def test_real_jobs_show_each_verdict(verdict: str) -> None:
    """B022: divergence on demand is one of them."""
    resolved = resolve(JobSpec.model_validate({"seed": 0, "evaluation": {"resamples": 200}, **REAL[verdict]}))
    fit = materialize(resolved.fits[0], builtin.load(resolved.spec.dataset)).fit
    curves, outcomes = run(fit)
    outcome, counts = outcomes[1], resolved.info.class_counts
    at = {
        record.epoch: {
            "train_loss": record.train_loss,
            "val_loss": record.val_loss or 0.0,
            **{f"{split}_{name}": value for split in ("train", "val") for name, value in getattr(record, f"{split}_metrics").items()},
        }
        for record in curves[1]
    }
    assert outcome.last_epoch is not None
    assert outcome.best_epoch is not None
    found = diagnose(
        status=FitStatus(outcome.status),
        best_epoch=outcome.best_epoch,
        last_epoch=outcome.last_epoch,
        best=at[outcome.best_epoch],
        last=at[outcome.last_epoch],
        evaluation=outcome.evaluation,
        guess_accuracy=None if counts is None else max(counts) / sum(counts),
        earlier=at.get(outcome.last_epoch - window(outcome.last_epoch)),
    )
    assert found is not None
    assert found.verdict == verdict
    assert "." in found.advice
    assert found.why


@pytest.mark.parametrize(("fall", "verdict"), [(0.05, "still_improving"), (0.005, "good_fit")])
def test_still_improving_needs_a_slope(fall: float, verdict: str) -> None:
    found = diagnose(
        status=FitStatus.FINISHED,
        best_epoch=50,
        last_epoch=50,
        best=LEARNED,
        last=LEARNED,
        evaluation=None,
        guess_accuracy=GUESS,
        earlier={**LEARNED, "val_loss": LEARNED["val_loss"] / (1 - fall)},
    )
    assert found is not None
    assert found.verdict == verdict
    assert found.numbers["val_loss_change"] < 0
    assert found.numbers["epochs_past_best"] == 0


def test_a_ratio_to_almost_nothing_is_left_out() -> None:
    """B011: what would overflow is not said."""
    last = {**LEARNED, "val_loss": 5e-324, "train_loss": 1.0}
    found = diagnose(status=FitStatus.FINISHED, best_epoch=5, last_epoch=10, best=last, last=last, evaluation=None, guess_accuracy=GUESS)
    assert found is not None
    assert "last_gap_relative_to_loss" not in found.numbers
