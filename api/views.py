"""What goes out. A `View` is built from what the store says; nothing non-finite can be in it."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from data.dataset import DatasetInfo
from jobs.diagnosis import Diagnosis, diagnose
from jobs.limits import Limits
from jobs.resolve import Resolved
from jobs.states import FitStatus, JobStatus
from store.epochs import Curves, FitCurve
from store.fits import FitState
from store.jobs import JobState


def _utc(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[dt.datetime, PlainSerializer(_utc, return_type=str, when_used="json")]
"""RFC 3339 in UTC with Z."""


class View(BaseModel):
    """Base of all answers: no NaN, no Infinity."""

    model_config = ConfigDict(allow_inf_nan=False, ser_json_inf_nan="null")


class TransitionView(View):
    """A change of status."""

    status: JobStatus
    at: str


class FailureView(View):
    """Why a job failed: a problem with `kind` and `retryable`."""

    type: str
    title: str
    status: int = Field(500, description="As of an HTTP problem; the job itself is read with 200.")
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
            type=f"urn:holdout:problem:{kind}", title=title, detail=failure["detail"], code=kind, kind=kind, retryable=failure["retryable"]
        )


class JobView(View):
    """A job as it stands."""

    id: str = Field(examples=["job_01m89c2r93efn2v1dcmy61vf08"])
    name: str | None
    status: JobStatus = Field(description="queued, running, succeeded, failed or cancelled; the last three are final.")
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
    queued_seconds: float | None = Field(description="From creation to start.")
    running_seconds: float | None = Field(description="From start to end.")
    transitions: list[TransitionView]
    result: dict[str, Any] | None = Field(description="The plan's conclusion, once succeeded.")
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
            queued_seconds=_seconds(job.created_at, job.started_at),
            running_seconds=_seconds(job.started_at, job.finished_at),
            transitions=[TransitionView.model_validate(one) for one in job.transitions],
            result=job.result,
            failure=None if job.failure is None else FailureView.of(job.failure),
            environment=job.environment,
            links={name: f"/v1/jobs/{job.id}{path}" for name, path in _LINKS.items()},
        )


_LINKS = {"self": "", "fits": "/fits", "curves": "/curves", "events": "/events", "picture": "/report.png"}


class JobPage(View):
    """Some jobs, newest first unless sorted otherwise."""

    items: list[JobView]
    next_cursor: str | None = Field(description="Give it as `cursor` to read on.")
    has_more: bool


class DiagnosisView(View):
    """What the curve says about a fit."""

    verdict: Literal["underfitting", "good_fit", "overfitting", "still_improving", "diverged"]
    rule: str
    numbers: dict[str, float]

    @classmethod
    def of(cls, diagnosis: Diagnosis) -> Self:
        """Shape a diagnosis."""
        return cls(verdict=diagnosis.verdict, rule=diagnosis.rule, numbers=diagnosis.numbers)


class FitView(View):
    """One network trained once."""

    number: int
    label: str
    status: FitStatus
    stop_reason: str | None
    message: str | None
    seed: int
    overrides: dict[str, Any]
    num_rows: dict[str, int] = Field(description="Rows of train, val and test.")
    num_parameters: int
    steps_done: int
    steps_planned: int
    best_epoch: int | None = Field(description="Epoch with the best monitor; 0 is the network before any update.")
    last_epoch: int | None
    kept_epoch: int | None = Field(description="Epoch whose weights are kept.")
    best: dict[str, float] | None = Field(description="Figures of the curve at the best epoch.")
    last: dict[str, float] | None = Field(description="Figures of the curve at the last epoch.")
    generalization_gap: dict[str, float] | None = Field(
        description="val_loss - train_loss of the kept weights with its 95 % bootstrap interval."
    )
    evaluation: dict[str, Any] | None = Field(
        description="Final figures of the kept weights with 95 % bootstrap intervals; the test rows are measured here, once."
    )
    diagnosis: DiagnosisView | None
    has_model: bool

    @classmethod
    def of(cls, fit: FitState, guess_accuracy: float | None) -> Self:
        """Shape a fit."""
        diagnosis = diagnose(
            status=fit.status,
            best_epoch=fit.best_epoch,
            last_epoch=fit.last_epoch,
            best=fit.best,
            last=fit.last,
            evaluation=fit.evaluation,
            guess_accuracy=guess_accuracy,
        )
        return cls(
            number=fit.number,
            label=fit.label,
            status=fit.status,
            stop_reason=fit.stop_reason,
            message=fit.message,
            seed=fit.seed,
            overrides=fit.overrides,
            num_rows=fit.num_rows,
            num_parameters=fit.num_parameters,
            steps_done=fit.steps_done,
            steps_planned=fit.steps_planned,
            best_epoch=fit.best_epoch,
            last_epoch=fit.last_epoch,
            kept_epoch=fit.kept_epoch,
            best=fit.best,
            last=fit.last,
            generalization_gap=None if fit.evaluation is None else fit.evaluation.get("generalization_gap"),
            evaluation=fit.evaluation,
            diagnosis=None if diagnosis is None else DiagnosisView.of(diagnosis),
            has_model=fit.weights_url is not None,
        )


class FitList(View):
    """All fits of a job."""

    items: list[FitView]


Column = list[float | None]


class CurveView(View):
    """One fit's curve, column by column; a figure that does not apply is absent."""

    number: int
    label: str
    epoch: list[int]
    train_loss: Column | None = None
    val_loss: Column | None = None
    generalization_gap: Column | None = Field(None, description="val_loss - train_loss, to the last bit.")
    train_accuracy: Column | None = None
    val_accuracy: Column | None = None
    accuracy_gap: Column | None = Field(None, description="train_accuracy - val_accuracy.")
    train_rmse: Column | None = None
    val_rmse: Column | None = None
    train_r2: Column | None = None
    val_r2: Column | None = None
    objective: Column | None = Field(
        None, description="What the optimizer saw: training mode, with penalties, in training units. No gap is computed from it."
    )
    learning_rate: Column | None = None
    seconds: Column | None = Field(None, description="Wall time of each epoch, evaluation included.")
    smoothed: dict[str, list[float | None]] | None = Field(
        None, description="Bias-corrected exponential averages, where `smoothing` asked for them."
    )
    best_epoch: int | None
    last_epoch: int | None

    @classmethod
    def of(cls, curve: FitCurve, smoothed: dict[str, list[float | None]] | None) -> "CurveView":
        """Shape a curve. The columns come from a typed table: they are not validated number by number."""
        values: dict[str, Any] = {"number": curve.number, "label": curve.label, "epoch": curve.epoch, **curve.columns}
        if smoothed is not None:
            values["smoothed"] = smoothed
        return cls.model_construct(None, **values, best_epoch=curve.best_epoch, last_epoch=curve.last_epoch)


class CurvesView(View):
    """Curves of a job as of a version."""

    fits: list[CurveView]
    version: int = Field(description="Give it as `after_version` to read only what is written later.")
    sampled: bool = Field(description="Whether points were left out to keep within `max_points`.")

    @classmethod
    def of(cls, found: Curves, fits: list[CurveView], *, sampled: bool) -> "CurvesView":
        """Shape curves."""
        return cls.model_construct(fits=fits, version=found.version, sampled=sampled)


class LayerView(View):
    """A layer of a network."""

    name: str
    kind: str
    output_shape: list[int]
    num_parameters: int


class PlannedFitView(View):
    """A fit that the job would train."""

    number: int
    label: str
    num_rows: dict[str, int]
    steps_per_epoch: int
    steps_planned: int
    num_parameters: int


class PreviewView(View):
    """What a job would be; nothing was created."""

    spec: dict[str, Any]
    layers: list[LayerView]
    num_parameters: int
    num_fits: int
    fits: list[PlannedFitView]
    warnings: list[str]

    @classmethod
    def of(cls, resolved: Resolved) -> Self:
        """Shape a resolved spec."""
        fits = [
            PlannedFitView(
                number=fit.number,
                label=fit.label,
                num_rows=dict(fit.num_rows),
                steps_per_epoch=fit.steps_per_epoch,
                steps_planned=fit.steps_planned,
                num_parameters=fit.num_parameters,
            )
            for fit in resolved.fits
        ]
        layers = [
            LayerView(name=one.name, kind=one.kind, output_shape=list(one.output_shape), num_parameters=one.num_parameters)
            for one in resolved.layers
        ]
        return cls(
            spec=resolved.spec.model_dump(mode="json"),
            layers=layers,
            num_parameters=resolved.num_parameters,
            num_fits=len(fits),
            fits=fits,
            warnings=list(resolved.warnings),
        )


class DatasetView(View):
    """A dataset that jobs may name."""

    id: str
    title: str
    description: str
    kind: Literal["table", "image"]
    task: Literal["classification", "regression"]
    num_rows: int
    input_shape: list[int]
    num_classes: int | None
    class_labels: list[str] | None
    class_counts: list[int] | None
    feature_names: list[str] | None
    target_name: str
    target_unit: str | None
    licence: str
    source: str
    content_hash: str | None
    available: bool
    unavailable_reason: str | None

    @classmethod
    def of(cls, info: DatasetInfo) -> Self:
        """Shape a dataset."""
        return cls.model_validate({name: getattr(info, name) for name in cls.model_fields}, from_attributes=True)


class DatasetList(View):
    """Every dataset: those that can be used, and those that cannot, with the reason."""

    items: list[DatasetView]
    unavailable: list[DatasetView]


class TechniqueView(View):
    """A member of a union of the spec."""

    category: str
    name: str
    pointer: str = Field(description="Where it stands in a job spec.")
    rule: str = Field(description="What it does, in a line.")
    references: list[str]
    defaults: dict[str, Any]
    json_schema: dict[str, Any]


class LimitsView(View, Limits):
    """The published limits."""

    max_body_bytes: int = Field(description="Largest request body, counted on bytes received (413).")
    max_queued_jobs: int = Field(description="Jobs that may wait (429).")


class TechniqueList(View):
    """Everything a job spec may ask for."""

    items: list[TechniqueView]
    limits: dict[str, int] = Field(description="Published limits, as at /v1/limits.")
    job_schema: dict[str, Any] = Field(description="The JSON schema of a whole job spec.")


class EventView(View):
    """An event of a job."""

    version: int
    kind: Literal["status", "cancel_requested", "fit", "epoch", "finished"]
    data: dict[str, Any]


class EventPageView(View):
    """Events in order; read on with `after_version`."""

    events: list[EventView]
    version: int
    has_more: bool


class HealthView(View):
    """The process answers."""

    status: Literal["ok"] = "ok"


class ReadyView(View):
    """Whether jobs would be accepted and run."""

    status: Literal["ready", "not_ready"]
    checks: dict[str, str] = Field(description="ok, or what is wrong, by part.")
    workers: int
    queued: int
    running: int
    oldest_queued_seconds: float | None


def guess_accuracy(info: DatasetInfo) -> float | None:
    """Give the share of the largest class: what guessing reaches. None for numbers."""
    if info.class_counts is None:
        return None
    return max(info.class_counts) / sum(info.class_counts)


def _seconds(start: dt.datetime | None, end: dt.datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds()
