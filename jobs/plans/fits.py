"""What a plan yields, receives and returns."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

from jobs.states import FailureKind, FitStatus


@dataclass(frozen=True, kw_only=True)
class PlannedFit:
    """One fit of a job before it is trained.

    `overrides` sets JSON pointers of the spec. `num_rows` counts the rows of train, val and test. `row_hash` names
    exactly these rows of exactly this content, in order: a replay that gives another hash is not the same fit.
    """

    number: int
    label: str
    seed: int
    row_hash: str
    num_rows: Mapping[str, int]
    steps_per_epoch: int
    steps_planned: int
    num_parameters: int
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FitResult:
    """What a plan may know of a fit that ended. `evaluation` is the JSON of the final figures, or None."""

    number: int
    status: FitStatus
    best_epoch: int | None
    kept_epoch: int | None
    evaluation: Mapping[str, Any] | None
    message: str | None = None


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """How a job ends: with a `result`, or with the kind of failure and a sentence about it."""

    result: dict[str, Any] | None
    failure: FailureKind | None = None
    message: str | None = None


Round = list[PlannedFit]
Plan = Generator[Round, list[FitResult], Conclusion]
"""Yields rounds of fits, receives their results in the same order, returns what they mean. Pure: replayable from stored results."""

PlanFit = Callable[[int, str], PlannedFit]
"""Makes the fit of a number and a label on the rows of the job's split."""
