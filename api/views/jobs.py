"""Jobs and their events."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field

from api.views.base import Instant, View
from jobs.plans.conclusions import readable
from jobs.plans.outcome import outcome_of
from jobs.states import JobStatus
from store.jobs import JobState


class TransitionView(View):
    """A change of status."""

    status: JobStatus
    at: str


class FailureView(View):
    """Why a job failed: a problem with `kind` and `retryable`."""

    type: str
    title: str
    status: int = Field(
        500, description="As of an HTTP problem: 422 where the spec or the data is at fault. The job itself is read with 200."
    )
    detail: str
    code: str
    kind: Literal["invalid_data", "diverged", "out_of_memory", "time_limit", "worker_lost", "internal"]
    retryable: bool = Field(description="Whether the same spec may succeed if it is submitted again.")
    errors: list[dict[str, str]] = Field(default_factory=list)

    @classmethod
    def of(cls, failure: Mapping[str, Any]) -> Self:
        """Shape a stored failure."""
        kind = failure["kind"]
        title = str(kind).replace("_", " ").capitalize()
        return cls(
            type=f"urn:holdout:problem:{kind}",
            title=title,
            status=422 if kind in {"invalid_data", "diverged"} else 500,
            detail=failure["detail"],
            code=kind,
            kind=kind,
            retryable=failure["retryable"],
        )


class FigureView(View):
    """A figure, with the bounds of its 95 % interval: of its rows (bootstrap), or of the mean over several fits (t); null where it has none."""

    value: float
    low: float | None
    high: float | None


class OutcomeView(View):
    """What a job concluded with, whatever its plan: the fit, the folds, the best variant, the chosen candidate, the vote, the most rows."""

    fits: list[int] = Field(description="Numbers of the fits that the figures are of: several are averaged, or vote.")
    of: str = Field(description="Which those are, in words.", examples=["variant adam, mean over 5 folds"])
    val_loss: float | None = Field(description="Validation loss; of nested cross-validation on the outer rows. null: a hard vote has none.")
    generalization_gap: float | None = Field(description="Of the same. Positive: worse on rows that were not trained on.")
    figures: dict[str, FigureView] = Field(
        description="All figures of them by name, as curves name them: train_loss, val_accuracy, generalization_gap, ... A test figure is of what was left to use, measured once."
    )

    @classmethod
    def of_result(cls, result: Mapping[str, Any] | None) -> Self | None:
        """Read it from a plan's result as it is stored; None where there is none, or none that can be read."""
        known = readable(result)
        if known is None:
            return None
        found = outcome_of(known)
        figures = {name: FigureView(value=one.value, low=one.low, high=one.high) for name, one in found.figures.items()}
        loss, gap = (figures[name].value if name in figures else None for name in ("val_loss", "generalization_gap"))
        return cls(fits=found.fits, of=found.of, val_loss=loss, generalization_gap=gap, figures=figures)


class JobView(View):
    """A job as it stands."""

    id: str = Field(examples=["job_01m89c2r93efn2v1dcmy61vf08"])
    name: str | None
    status: JobStatus = Field(description="queued, running, paused, succeeded, failed or cancelled; the last three are final.")
    phase: str = Field(description="A sentence for people, not to be coded against.")
    progress: float = Field(description="Steps done of steps planned, 0 to 1; exactly 1 when succeeded.")
    plan: str
    dataset: str
    spec: dict[str, Any] = Field(description="The resolved spec, every default filled in; it can be posted again.")
    warnings: list[str]
    metadata: dict[str, str]
    version: int = Field(description="Rises in every transaction that writes an epoch or a state; the ETag is made of it.")
    steps_done: int
    steps_planned: int
    num_fits: int
    fit_counts: dict[str, int] = Field(description="Fits by status.")
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    cancel_requested_at: Instant | None
    pause_requested_at: Instant | None = Field(description="Set while a running job is about to pause.")
    continues: str | None = Field(description="The job that this one was extended from.")
    queued_seconds: float | None = Field(description="From creation to start.")
    running_seconds: float | None = Field(description="From start to end, without pauses.")
    paused_seconds: float = Field(description="How long it was paused, and waited for a worker after that, up to when it last went on.")
    transitions: list[TransitionView]
    result: dict[str, Any] | None = Field(description="The plan's conclusion, once succeeded.")
    outcome: OutcomeView | None = Field(description="What it concluded with, once succeeded.")
    failure: FailureView | None
    environment: dict[str, Any] | None = Field(description="Software and device that trained it.")
    links: dict[str, str]

    @classmethod
    def of(cls, job: JobState) -> Self:
        """Shape a job."""
        return cls(
            id=job.id,
            name=job.name,
            status=job.status,
            phase=job.phase,
            progress=job.progress,
            plan=job.plan,
            dataset=job.dataset,
            spec=job.spec,
            warnings=job.warnings,
            metadata=job.metadata,
            version=job.version,
            steps_done=job.steps_done,
            steps_planned=job.steps_planned,
            num_fits=job.num_fits,
            fit_counts=job.fit_counts,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
            cancel_requested_at=job.cancel_requested_at,
            pause_requested_at=job.pause_requested_at,
            continues=job.continues,
            queued_seconds=_seconds(job.created_at, job.started_at),
            running_seconds=_seconds(job.started_at, job.finished_at, job.paused_seconds),
            paused_seconds=job.paused_seconds,
            transitions=[TransitionView.model_validate(one) for one in job.transitions],
            result=job.result,
            outcome=OutcomeView.of_result(job.result),
            failure=None if job.failure is None else FailureView.of(job.failure),
            environment=job.environment,
            links={name: f"/v1/jobs/{job.id}{path}" for name, path in _LINKS.items()},
        )

    def without_lists(self) -> Self:
        """Leave out the lists of a plan's result, which may be as long as the plan has fits."""
        if self.result is None:
            return self
        return self.model_copy(update={"result": {name: value for name, value in self.result.items() if not isinstance(value, list)}})


_LINKS = {"self": "", "fits": "/fits", "result": "/result", "curves": "/curves", "events": "/events", "picture": "/report.png"}


class JobPage(View):
    """Some jobs, newest first unless sorted otherwise."""

    items: list[JobView]
    next_cursor: str | None = Field(description="Give it as `cursor` to read on.")
    has_more: bool


class PartOfJob(JobView):
    """Those fields of a job that `fields` names."""

    model_config = ConfigDict(json_schema_extra=lambda schema: schema.pop("required", None))


class PageOfParts(View):
    """A page of jobs as `fields` asks for them."""

    items: list[PartOfJob]
    next_cursor: str | None = Field(description="Give it as `cursor` to read on.")
    has_more: bool


class EventView(View):
    """An event of a job."""

    version: int
    kind: Literal["status", "cancel_requested", "pause_requested", "resumed", "fit", "epoch", "finished"]
    data: dict[str, Any]


class EventPageView(View):
    """Events in order; read on with `after_version`."""

    events: list[EventView]
    version: int
    has_more: bool


def _seconds(start: dt.datetime | None, end: dt.datetime | None, paused: float = 0.0) -> float | None:
    return None if start is None or end is None else max(0.0, (end - start).total_seconds() - paused)
