"""Fits and their curves."""

from typing import Any, Literal, Self

from pydantic import Field

from api.views.base import View
from api.views.jobs import FailureView
from data.dataset import DatasetInfo
from jobs.diagnosis import Diagnosis, diagnose
from jobs.plans.maker import with_overrides
from jobs.remedies import remedies
from jobs.spec import JobSpec
from jobs.states import FitStatus
from store.fits import FitState


class RemedyView(View):
    """A change that may help. It can be a variant of the plan `comparison` as it is."""

    label: str = Field(examples=["dropout 0.3"])
    set: dict[str, Any] = Field(description="JSON pointer into the fit's spec to what to set there.", examples=[{"/network/dropout": 0.3}])


class DiagnosisView(View):
    """What the curve says about a fit."""

    verdict: Literal["underfitting", "good_fit", "overfitting", "still_improving", "diverged"]
    rule: str = Field(description="How it was detected, with the threshold.")
    why: str
    advice: str = Field(description="What to change, naming the field.")
    remedies: list[RemedyView] = Field(
        description="What to try, each a change of one thing: posted as variants of a comparison, they tell which of them it is that helps. Empty where nothing is to be mended."
    )
    numbers: dict[str, float]

    @classmethod
    def of(cls, diagnosis: Diagnosis, spec: JobSpec, dataset: DatasetInfo) -> Self:
        """Shape the diagnosis of a fit of `spec`."""
        return cls(
            verdict=diagnosis.verdict,
            rule=diagnosis.rule,
            why=diagnosis.why,
            advice=diagnosis.advice,
            remedies=[RemedyView(label=one.label, set=one.set) for one in remedies(diagnosis, spec, dataset)],
            numbers=diagnosis.numbers,
        )


class FitView(View):
    """One network trained once."""

    number: int
    label: str
    status: FitStatus
    stop_reason: str | None
    message: str | None
    failure: FailureView | None = Field(description="Why it failed, where it is not the training that diverged.")
    seed: int
    place: dict[str, int | float | str] = Field(description="Where it stands in its plan: fold, variant, candidate, member, ...")
    overrides: dict[str, Any] = Field(description="What of the spec is set otherwise: JSON pointer to value.")
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
    def of(cls, fit: FitState, spec: JobSpec, dataset: DatasetInfo) -> Self:
        """Shape a fit of a job of `spec`."""
        found = diagnosis_of(fit, guess_accuracy(dataset))
        own = spec if found is None else with_overrides(spec, fit.overrides)
        return cls(
            number=fit.number,
            label=fit.label,
            status=fit.status,
            stop_reason=fit.stop_reason,
            message=fit.message,
            failure=None if fit.failure is None else FailureView.of(fit.failure),
            seed=fit.seed,
            place=fit.place,
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
            diagnosis=None if found is None else DiagnosisView.of(found, own, dataset),
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


class CurvesView(View):
    """Curves of a job as of a version."""

    fits: list[CurveView]
    version: int = Field(description="Give it as `after_version` to read only what is written later.")
    sampled: bool = Field(description="Whether points were left out to keep within `max_points`.")


def diagnosis_of(fit: FitState, guess_accuracy: float | None) -> Diagnosis | None:
    """Diagnose a fit from its curve's figures."""
    return diagnose(
        status=fit.status,
        best_epoch=fit.best_epoch,
        last_epoch=fit.last_epoch,
        best=fit.best,
        last=fit.last,
        evaluation=fit.evaluation,
        guess_accuracy=guess_accuracy,
        earlier=fit.earlier,
        stopped_early=fit.stop_reason == "early_stopping",
    )


def guess_accuracy(info: DatasetInfo) -> float | None:
    """Give the share of the largest class: what guessing reaches. None for numbers."""
    if info.class_counts is None:
        return None
    return max(info.class_counts) / sum(info.class_counts)
