"""What a job may be made of, and what it would be."""

from typing import Any, Self

from pydantic import Field

from api.views.base import View
from data.dataset import Dataset
from data.splits.summary import DivisionSummary, division_summary
from data.uploads.limits import UploadLimits
from jobs.estimates import Estimate
from jobs.limits import Limits
from jobs.plans.fits import PlannedFit
from jobs.resolve import Resolved
from models.shapes import Layer


class LayerView(View):
    """A layer of a network."""

    name: str
    kind: str
    output_shape: list[int] = Field(description="Without the batch axis: [F], or [C, *axes].")
    num_parameters: int = Field(description="num_weights + num_biases.")
    num_weights: int
    num_biases: int
    receptive_field: list[int] | None = Field(
        description="Neighbouring input positions that one output depends on, along each axis; more than the input means that padding is seen. null in networks without axes."
    )
    dense_parameters: int | None = Field(
        description="Of a convolution: parameters of a dense layer between the same shapes, that does the same job without sharing its weights."
    )

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """Shape a layer."""
        return cls(
            name=layer.name,
            kind=layer.kind,
            output_shape=list(layer.output_shape),
            num_parameters=layer.num_parameters,
            num_weights=layer.num_weights,
            num_biases=layer.num_biases,
            receptive_field=None if layer.receptive_field is None else list(layer.receptive_field),
            dense_parameters=layer.dense_parameters,
        )


class PlannedFitView(View):
    """A fit that the job would train."""

    number: int
    label: str
    place: dict[str, int | float | str] = Field(description="Where it stands in its plan: fold, variant, candidate, member, ...")
    overrides: dict[str, Any] = Field(description="What of the spec is set otherwise: JSON pointer to value.")
    num_rows: dict[str, int] = Field(description="Rows of train, val and test.")
    steps_per_epoch: int
    steps_planned: int
    num_parameters: int

    @classmethod
    def of(cls, fit: PlannedFit) -> Self:
        """Shape a planned fit."""
        return cls(
            number=fit.number,
            label=fit.label,
            place=dict(fit.place),
            overrides=dict(fit.overrides),
            num_rows=dict(fit.num_rows),
            steps_per_epoch=fit.steps_per_epoch,
            steps_planned=fit.steps_planned,
            num_parameters=fit.num_parameters,
        )


class DivisionView(View):
    """One division of the rows by the job's split."""

    label: str
    place: dict[str, int]
    num_rows: dict[str, int] = Field(description="Rows of train, val and test.")
    class_counts: dict[str, list[int]] | None = Field(
        description="Rows of each class in each of them, in the order of the dataset's class labels; null for numbers."
    )
    row_hash: str = Field(description="Names these row sets of this content; that of the result is the same.")

    @classmethod
    def of(cls, division: DivisionSummary) -> Self:
        """Shape a division."""
        counts = division.class_counts
        return cls(
            label=division.label,
            place=dict(division.place),
            num_rows=dict(division.num_rows),
            class_counts=None if counts is None else {part: list(found) for part, found in counts.items()},
            row_hash=division.row_hash,
        )


class EstimateView(View):
    """How long the job would take once it starts, from what live workers measured of themselves: right within a factor of two or so."""

    seconds: float = Field(description="Wall time, if the workers have nothing else to do.")
    workers: int = Field(description="Live worker processes that would share it.")


class PreviewView(View):
    """What a job would be; nothing was created."""

    spec: dict[str, Any]
    layers: list[LayerView]
    num_parameters: int
    divisions: list[DivisionView] = Field(description="How the split divides the rows: one for holdout, one for each fold.")
    num_fits: int = Field(description="Fits of all rounds, at most.")
    steps_planned: int = Field(description="Optimizer updates of all rounds, at most.")
    fits: list[PlannedFitView] = Field(description="Those of the first round; what later rounds fit depends on it.")
    estimate: EstimateView | None = Field(None, description="null where no live worker has measured itself (GPU workers do not).")
    warnings: list[str]

    @classmethod
    def of(cls, resolved: Resolved, dataset: Dataset, found: Estimate | None) -> Self:
        """Shape a resolved spec."""
        first = resolved.first_round
        return cls(
            spec=resolved.spec.model_dump(mode="json"),
            layers=[LayerView.of(one) for one in resolved.layers],
            num_parameters=resolved.num_parameters,
            divisions=[DivisionView.of(division_summary(dataset, one)) for one in resolved.divisions],
            num_fits=len(first.fits) + first.later_fits,
            steps_planned=sum(fit.steps_planned for fit in first.fits) + first.later_steps,
            fits=[PlannedFitView.of(fit) for fit in first.fits],
            estimate=None if found is None else EstimateView(seconds=found.seconds, workers=found.workers),
            warnings=list(resolved.warnings),
        )


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

    uploads: UploadLimits = Field(description="Caps on one dataset.")
    max_upload_bytes: int = Field(description="Largest upload, counted on bytes received (413).")
    max_prediction_bytes: int = Field(description="Largest body of a request for predictions (413).")
    max_prediction_rows: int = Field(description="Most rows of one request for predictions (422).")

    max_body_bytes: int = Field(description="Largest request body, counted on bytes received (413).")
    max_queued_jobs: int = Field(description="Jobs that may wait (429).")
    max_queue_seconds: float = Field(description="How long a job may wait in the queue before it fails with `time_limit`.")
    max_run_seconds: float | None = Field(description="Longest run time of any job, whatever its `time_limit_seconds` says; null is none.")
    max_requests_per_minute: int = Field(description="Requests of one key in a minute, in each API process (429); 0 is no limit.")
    max_failed_keys_per_minute: int = Field(description="Requests without a valid key from one address in a minute (429); 0 is no limit.")
    max_event_streams: int = Field(description="Event streams that one API process holds open (429).")
    max_event_streams_per_owner: int = Field(description="Those of one owner, where keys are used (429).")


class TechniqueList(View):
    """Everything a job spec may ask for."""

    items: list[TechniqueView]
    limits: dict[str, Any] = Field(description="Published limits, as at /v1/limits.")
    job_schema: dict[str, Any] = Field(description="The JSON schema of a whole job spec.")
