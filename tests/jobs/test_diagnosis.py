"""Verdicts, each from the numbers that lead to it."""

from typing import Any

import pytest

from jobs.diagnosis import Diagnosis, diagnose
from jobs.states import FitStatus

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
) -> Diagnosis | None:
    return diagnose(
        status=status, best_epoch=best_epoch, last_epoch=last_epoch, best=best, last=last, evaluation=evaluation, guess_accuracy=guess
    )


LEARNED = _figures(0.05, 0.10, 0.99, 0.97)


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
