"""What a plan yields, receives and returns."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data.dataset import Array
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus


@dataclass(frozen=True, kw_only=True, eq=False)
class FitRows:
    """Row numbers of the dataset that one fit sees.

    `train` may hold a row more than once (a bootstrap sample), `val` and `test` may be empty. `weights` [len(train)], of
    mean 1, weigh training rows in the objective. `asked` are rows whose outputs the plan wants to know. `is_sample`: `train` was
    drawn from the rows of a division, and what it happens to lack is no fault of the spec.
    """

    train: Array
    val: Array
    test: Array
    weights: Array | None = None
    asked: Array | None = None
    is_sample: bool = False


@dataclass(frozen=True, kw_only=True)
class PlannedFit:
    """One fit of a job before it is trained.

    `spec` is the job's with `overrides` (JSON pointer -> value) set. `place` says where it stands in its plan (fold,
    candidate, member, ...). `row_hash` names exactly these rows of exactly this content, in order, with weights: a replay
    that gives another hash is not the same fit. `rows` draws them again when called. `input_shape` is that of a prepared row,
    `row_flops` what one costs in a forward pass.

    `origin` is the JSON pointer into the job spec of what set the overrides (/plan/variants/0/set): faults of the varied spec
    are reported there.

    `stop_at` ends the fit after that epoch as if it were the last one, without changing its schedule. `pause_at` keeps it
    unfinished after that epoch, with a checkpoint: the plan may ask for the same number again, to a later epoch.
    """

    number: int
    label: str
    seed: int
    spec: JobSpec
    rows: Callable[[], FitRows] = field(compare=False, repr=False)
    row_hash: str
    num_rows: Mapping[str, int]
    steps_per_epoch: int
    steps_planned: int
    num_parameters: int
    input_shape: tuple[int, ...]
    row_flops: int
    overrides: Mapping[str, Any] = field(default_factory=dict)
    place: Mapping[str, int | float | str] = field(default_factory=dict)
    origin: str = ""
    stop_at: int | None = None
    pause_at: int | None = None


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a plan may know of a fit that ended, or that paused.

    `evaluation` is the JSON of the final figures, or None. `rungs` has for each epoch that the fit paused after the
    figures (train_loss, val_loss, ...) of its best epoch until then. `outputs` reads what the network says of the rows
    asked for: class probabilities [m, K], or numbers [m, 1] in original units. `seed` and `overrides` are those that it was
    trained with, where that is known.
    """

    number: int
    status: FitStatus
    row_hash: str
    best_epoch: int | None
    kept_epoch: int | None
    evaluation: Mapping[str, Any] | None
    message: str | None = None
    failure: Mapping[str, Any] | None = None
    rungs: Mapping[int, Mapping[str, float]] = field(default_factory=dict)
    seed: int | None = None
    overrides: Mapping[str, Any] | None = None
    outputs: Callable[[], Array] | None = field(default=None, compare=False, repr=False)

    @property
    def is_finished(self) -> bool:
        """Tell whether the fit ended with final figures."""
        return self.status is FitStatus.FINISHED and self.evaluation is not None


@dataclass(frozen=True, kw_only=True)
class Round:
    """Fits that may train at the same time. `pruned` are numbers of paused fits that are not gone on with.

    `later_fits` and `later_steps` bound what rounds after this one may add: they end at 0.
    """

    fits: Sequence[PlannedFit]
    pruned: Sequence[int] = ()
    later_fits: int = 0
    later_steps: int = 0


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """How a job ends: with a `result`, or with the kind of failure and a sentence about it. `pruned` as in a round."""

    result: dict[str, Any] | None
    failure: FailureKind | None = None
    message: str | None = None
    retryable: bool = False
    pruned: Sequence[int] = ()


Plan = Generator[Round, list[FitResult], Conclusion]
"""Yields rounds of fits, receives their results in the same order, returns what they mean. Pure: replayable from stored results."""


def unfinished(results: Sequence[FitResult]) -> Conclusion | None:
    """Conclude a plan that needs every one of these fits, if one did not finish."""
    for result in results:
        if not result.is_finished:
            return failed(result)
    return None


def failed(result: FitResult) -> Conclusion:
    """Conclude that a job failed for what happened to one fit."""
    if result.status is FitStatus.DIVERGED:
        return Conclusion(result=None, failure=FailureKind.DIVERGED, message=result.message)
    if result.failure is not None:
        kind, detail = FailureKind(result.failure["kind"]), str(result.failure["detail"])
        return Conclusion(result=None, failure=kind, message=detail, retryable=bool(result.failure["retryable"]))
    return Conclusion(result=None, failure=FailureKind.INTERNAL, message=result.message or "a fit ended without an evaluation")
