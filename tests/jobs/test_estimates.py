"""Estimates follow from what workers measured of themselves, and from what a job would do."""

import pytest

from data import builtin
from jobs.estimates import estimate
from jobs.plans.fits import Round
from tests.plans import resolved
from training.calibration import calibrate
from training.speed import Speed

DIGITS = builtin.load("digits")
SPEED = Speed(step_seconds=1e-3, stacked_step_seconds=1e-4, dense_flops=1e10, conv_flops=1e9)


def _seconds(workers: int = 1, **fields: object) -> float:
    one = resolved(DIGITS, **fields)
    found = estimate(one.first_round, one.info, [SPEED] * workers)
    assert found is not None
    assert found.workers == workers
    return found.seconds


def test_without_a_worker_that_measured_itself_there_is_no_estimate() -> None:
    one = resolved(DIGITS)
    assert estimate(one.first_round, one.info, []) is None


def test_a_fit_takes_its_steps_and_its_arithmetic() -> None:
    """40 batches of 1258 rows, 25 epochs: steps at the price of a stack's, 3 passes over training rows and one over all, by hand."""
    fields = {"training": {"max_epochs": 25}, "evaluation": {"resamples": 100}}
    row = 2 * (64 * 128 + 128 * 64 + 64 * 10)
    by_hand = 25 * (40 * 1e-4 + row * (3 * 1258 + 1797) / 1e10) + 1797 * (100 * 6e-9 + 3 * row / 1e10)
    assert _seconds(**fields) == pytest.approx(by_hand)


@pytest.mark.parametrize("plan", [{"name": "bagging", "members": 20}, {"name": "fit"}])
def test_more_work_takes_longer_and_more_workers_shorten_it(plan: dict[str, object]) -> None:
    fields = {"split": {"name": "k_fold", "folds": 10}} if plan["name"] == "fit" else {}
    one, two = (_seconds(workers, plan=plan, **fields) for workers in (1, 2))
    assert two == pytest.approx(one / 2, rel=0.05)
    assert one > 5 * _seconds()


def test_later_rounds_count() -> None:
    boosting = _seconds(2, plan={"name": "boosting", "members": 10})
    assert boosting > 5 * _seconds(2, plan={"name": "boosting", "members": 1})


def test_an_empty_round_takes_nothing() -> None:
    assert estimate(Round(fits=[]), DIGITS.info, [SPEED]) is None


def test_a_worker_measures_itself() -> None:
    found = calibrate()
    assert 0 < found.stacked_step_seconds < 1
    assert 0 < found.step_seconds < 1
    assert 1e6 < found.conv_flops < 1e14
    assert 1e6 < found.dense_flops < 1e14
