"""Plans are replayed from stored results, and rows are rebuilt by replay."""

import numpy as np
import pytest

from data import builtin
from jobs.materialize import RowsChanged, materialize
from jobs.plans.fits import Conclusion, FitResult
from jobs.plans.replay import replay
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import ACTIVE, MOVES, TERMINAL, FailureKind, FitStatus, JobStatus

IRIS = builtin.load("iris")
SPEC = resolve(JobSpec.model_validate({"dataset": "iris", "seed": 3, "split": {"name": "holdout", "test_fraction": 0.1}})).spec


def _result(status: FitStatus, evaluation: dict[str, object] | None) -> FitResult:
    return FitResult(number=1, status=status, best_epoch=1, kept_epoch=1, evaluation=evaluation, message="why")


def test_a_plan_without_results_awaits_its_first_round_every_time() -> None:
    first, again = replay(SPEC, IRIS, ()), replay(SPEC, IRIS, ())
    assert first == again
    assert not isinstance(first, Conclusion)
    [fit] = first
    assert (fit.number, fit.label, fit.seed) == (1, "holdout", 3)
    assert fit.num_rows == {"train": 90, "val": 45, "test": 15}


def test_a_finished_fit_concludes_with_its_evaluation() -> None:
    end = replay(SPEC, IRIS, [_result(FitStatus.FINISHED, {"kept_epoch": 1})])
    assert end == Conclusion(result={"plan": "fit", "fit": 1, "kept_epoch": 1})


def test_a_diverged_fit_fails_the_job_as_diverged() -> None:
    end = replay(SPEC, IRIS, [_result(FitStatus.DIVERGED, None)])
    assert end == Conclusion(result=None, failure=FailureKind.DIVERGED, message="why")


def test_materialized_rows_are_the_planned_ones() -> None:
    [planned] = resolve(SPEC).fits
    made = materialize(SPEC, IRIS, 1, expected_row_hash=planned.row_hash)
    fit = made.fit
    assert len(fit.data.train.x) == planned.num_rows["train"]
    assert fit.data.val is not None
    assert fit.data.test is not None
    assert (len(fit.data.val.x), len(fit.data.test.x)) == (45, 15)
    assert fit.data.train.x.dtype == np.float32
    assert made.preparation.input_shape == fit.data.train.x.shape[1:]


def test_other_rows_than_the_planned_ones_are_refused() -> None:
    with pytest.raises(RowsChanged, match="not those that were planned"):
        materialize(SPEC, IRIS, 1, expected_row_hash="0" * 64)
    with pytest.raises(RowsChanged):
        materialize(SPEC, IRIS, 2, expected_row_hash="0" * 64)


def test_a_seed_changes_the_rows_and_their_hash() -> None:
    other = resolve(SPEC.model_copy(update={"seed": 4}))
    assert other.fits[0].row_hash != resolve(SPEC).fits[0].row_hash


def test_terminal_states_are_absorbing_and_every_state_is_placed() -> None:
    """B008."""
    assert set(MOVES) == set(JobStatus) == ACTIVE | TERMINAL
    assert all(not MOVES[state] for state in TERMINAL)
