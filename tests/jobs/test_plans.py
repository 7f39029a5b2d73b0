"""Plans are replayed from stored results, and rows are rebuilt by replay."""

from dataclasses import replace

import numpy as np
import pytest

from data import builtin
from jobs.materialize import Materializer, materialize
from jobs.plans.fits import Conclusion, FitResult, PlannedFit, Round
from jobs.plans.maker import with_overrides
from jobs.plans.replay import ReplayMismatch, replay
from jobs.problems import SpecProblems
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import ACTIVE, MOVES, TERMINAL, FailureKind, FitStatus, JobStatus

IRIS = builtin.load("iris")
SPEC = resolve(JobSpec.model_validate({"dataset": "iris", "seed": 3, "split": {"name": "holdout", "test_fraction": 0.1}})).spec


def _awaited(spec: JobSpec = SPEC) -> Round:
    awaited = replay(spec, IRIS, ()).awaited
    assert awaited is not None
    return awaited


def _fit() -> PlannedFit:
    [fit] = _awaited().fits
    return fit


def _concluded(status: FitStatus, evaluation: dict[str, object] | None = None, failure: dict[str, object] | None = None) -> Conclusion:
    result = FitResult(
        number=1,
        status=status,
        row_hash=_fit().row_hash,
        best_epoch=1,
        kept_epoch=1,
        evaluation=evaluation,
        message="why",
        failure=failure,
    )
    conclusion = replay(SPEC, IRIS, [result]).conclusion
    assert conclusion is not None
    return conclusion


def test_a_plan_without_results_awaits_its_first_round_every_time() -> None:
    assert _awaited() == _awaited()
    fit = _fit()
    assert (fit.number, fit.label, fit.seed) == (1, "holdout", 3)
    assert fit.num_rows == {"train": 90, "val": 45, "test": 15}


def test_a_finished_fit_concludes_with_its_evaluation() -> None:
    figures = {"loss": {"value": 0.5, "low": 0.4, "high": 0.6}}
    end = _concluded(FitStatus.FINISHED, {"kept_epoch": 1, "train": figures, "val": figures, "test": figures})
    assert end.result is not None
    assert (end.result["plan"], end.result["fit"], end.result["kept_epoch"], end.result["val"]) == ("fit", 1, 1, figures)


def test_a_diverged_fit_fails_the_job_as_diverged() -> None:
    end = _concluded(FitStatus.DIVERGED)
    assert (end.result, end.failure, end.message) == (None, FailureKind.DIVERGED, "why")


def test_a_failed_fit_fails_the_job_with_its_own_failure() -> None:
    failure = {"kind": "out_of_memory", "detail": "too large", "retryable": False}
    end = _concluded(FitStatus.FAILED, failure=failure)
    assert (end.result, end.failure, end.message, end.retryable) == (None, FailureKind.OUT_OF_MEMORY, "too large", False)


def test_materialized_rows_are_the_planned_ones() -> None:
    planned = _fit()
    made = materialize(planned, IRIS)
    fit = made.fit
    assert len(fit.data.train.x) == planned.num_rows["train"]
    assert fit.data.val is not None
    assert fit.data.test is not None
    assert (len(fit.data.val.x), len(fit.data.test.x)) == (45, 15)
    assert fit.data.train.x.dtype == np.float32
    assert made.preparation.input_shape == fit.data.train.x.shape[1:] == planned.input_shape


def test_fits_that_see_the_same_rows_share_their_arrays() -> None:
    materializer, planned = Materializer(IRIS), _fit()
    one, other = (materializer.materialize(replace(planned, number=number)).fit for number in (1, 2))
    assert one.data is other.data
    assert (one.number, other.number) == (1, 2)


def test_a_stored_fit_of_other_rows_than_the_planned_ones_is_no_result() -> None:
    other = FitResult(number=1, status=FitStatus.FINISHED, row_hash="0" * 64, best_epoch=1, kept_epoch=1, evaluation={})
    with pytest.raises(ReplayMismatch, match="not those that were planned"):
        replay(SPEC, IRIS, [other])


def test_a_pointer_replaces_a_whole_subtree_with_its_own_defaults() -> None:
    changed = with_overrides(SPEC, {"/optimizer": {"name": "sgd"}, "/network/hidden_units/0": 7})
    assert changed.optimizer.model_dump() == {"name": "sgd", "learning_rate": 0.01}
    assert changed.network.hidden_units == (7, 64)


def test_a_stored_fit_of_other_settings_than_the_planned_ones_is_no_result() -> None:
    fit = _fit()
    ended = {"number": 1, "status": FitStatus.FINISHED, "row_hash": fit.row_hash, "best_epoch": 1, "kept_epoch": 1, "evaluation": {}}
    for differing in ({"overrides": {"/optimizer/learning_rate": 0.5}}, {"seed": fit.seed + 1}):
        with pytest.raises(ReplayMismatch, match="settings are not those that were planned"):
            replay(SPEC, IRIS, [FitResult(**{**ended, "seed": fit.seed, "overrides": dict(fit.overrides), **differing})])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pointer", "code"),
    [("/dataset", "cannot_vary"), ("/plan", "cannot_vary"), ("/seed", "cannot_vary"), ("", "cannot_vary"), ("/network/no/where", "no_such_field"),
     ("/network/hidden_units/9", "no_such_field"), ("/optimizer/name/x", "no_such_field")],
)  # fmt: skip
def test_a_pointer_that_leads_nowhere_or_must_not_vary_is_refused(pointer: str, code: str) -> None:
    with pytest.raises(SpecProblems) as found:
        with_overrides(SPEC, {pointer: 1})
    assert [(problem.pointer, problem.code) for problem in found.value.problems] == [(pointer, code)]


def test_a_seed_changes_the_rows_and_their_hash() -> None:
    other = resolve(SPEC.model_copy(update={"seed": 4}))
    assert other.fits[0].row_hash != resolve(SPEC).fits[0].row_hash


def test_terminal_states_are_absorbing_and_every_state_is_placed() -> None:
    """B008."""
    assert set(MOVES) == set(JobStatus) == ACTIVE | TERMINAL
    assert all(not MOVES[state] for state in TERMINAL)
