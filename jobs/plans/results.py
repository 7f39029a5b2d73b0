"""What every plan's result is made of. A plan's own result class stands beside it, in its folder."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from data.counting import written
from data.dataset import Array, Dataset
from data.later import Later
from jobs.plans.fits import FitResult, PlannedFit
from jobs.states import FitStatus
from training.bootstrap import resampled
from training.bootstrap import with_intervals as _with_intervals
from training.derivation import derive
from training.figures import RowFigures
from training.monitors import gap_sign

stats = Later("scipy.stats")
Figures = dict[str, float]
"""Figure name (loss, accuracy or rmse and r2) to value."""


class Part(BaseModel):
    """A part of a result: closed and finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Interval(Part):
    """A figure with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


class Spread(Part):
    """A figure over several fits: unweighted mean, standard deviation with n - 1, 95 % t interval of the mean.

    `std`, `low` and `high` are null for a single fit. Folds share training rows, so the interval is a little too narrow
    (Bengio & Grandvalet 2004).
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    count: int


class FitFigures(Part):
    """One fit of a plan: where it stands in it, and its final figures on each of its parts."""

    number: int
    label: str
    place: dict[str, int | float | str]
    status: FitStatus
    num_rows: dict[str, int]
    best_epoch: int | None
    kept_epoch: int | None
    train: Figures | None
    val: Figures | None
    test: Figures | None
    generalization_gap: float | None


class DivisionSummary(Part):
    """One division of the rows: sizes and class counts of its parts, and a hash of its row sets."""

    label: str
    place: dict[str, int | float | str]
    num_rows: dict[str, int]
    class_counts: dict[str, tuple[int, ...]] | None = Field(description="Rows of each class, in the order of class_labels, by part.")
    row_hash: str


class ModelOf(Part):
    """What a plan leaves to predict with: one fit's network, or several that vote.

    `weights` [len(fits)] weigh votes; null is alike. vote: soft averages class probabilities, hard counts named classes,
    mean averages numbers, median is the weighted median of numbers (Drucker 1997).
    """

    fits: Annotated[list[int], Field(min_length=1)]
    vote: Literal["soft", "hard", "mean", "median"] | None = Field(None, description="null where there is one fit.")
    weights: list[float] | None = None


class Result(Part):
    """What every plan concludes with: a sentence, its fits, and what may be predicted with (null: no single model)."""

    sentence: str = Field(description="What was concluded, in one sentence.")
    fits: list[FitFigures]
    model: ModelOf | None = None


def fit_figures(planned: PlannedFit, result: FitResult) -> FitFigures:
    """Shape one fit of a plan."""
    found = result.evaluation or {}
    gap = found.get("generalization_gap")
    return FitFigures(
        number=planned.number,
        label=planned.label,
        place=dict(planned.place),
        status=result.status,
        num_rows=dict(planned.num_rows),
        best_epoch=result.best_epoch,
        kept_epoch=result.kept_epoch,
        train=figures_of(found.get("train")),
        val=figures_of(found.get("val")),
        test=figures_of(found.get("test")),
        generalization_gap=None if gap is None else gap["value"],
    )


def figures_of(split: dict[str, object] | None) -> Figures | None:
    """Take loss and accuracy, or loss, rmse and r2, from the evaluation of one split."""
    if split is None:
        return None
    names = ("loss", "accuracy", "rmse", "r2")
    return {name: float(split[name]["value"]) for name in names if isinstance(split.get(name), dict)}  # type: ignore[index]


def spread(values: Sequence[float]) -> Spread:
    """Summarise one figure over fits."""
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return Spread(mean=mean, std=None, low=None, high=None, count=n)
    std = float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.975, n - 1)) * std / math.sqrt(n)
    return Spread(mean=mean, std=std, low=mean - half, high=mean + half, count=n)


def named_figures(fit: FitFigures) -> Figures:
    """Name one fit's figures as curves do: train_loss, val_accuracy, generalization_gap, accuracy_gap, ...: gaps are positive where validation is worse."""
    train, val = fit.train or {}, fit.val or {}
    found = {f"{split}_{name}": value for split, figures in (("train", train), ("val", val)) for name, value in figures.items()}
    if fit.generalization_gap is not None:
        found["generalization_gap"] = fit.generalization_gap
    return found | {f"{name}_gap": gap_sign(name) * (value - val[name]) for name, value in train.items() if name != "loss" and name in val}


def spreads(fits: Sequence[FitFigures]) -> dict[str, Spread]:
    """Summarise every figure that all of these fits have, under the names of `named_figures`."""
    each = [named_figures(fit) for fit in fits]
    return {name: spread([one[name] for one in each]) for name in (each[0] if each else ()) if all(name in one for one in each)}


def loss_interval(over: Spread, first: FitResult) -> Interval:
    """Give a mean validation loss with its t interval over fits or, of one fit, the bootstrap interval over its rows."""
    if over.low is not None and over.high is not None:
        return Interval(value=over.mean, low=over.low, high=over.high)
    return Interval(**(first.evaluation or {})["val"]["loss"])


def why_unfinished(planned: PlannedFit, result: FitResult) -> str:
    """Say what became of a fit that has no figures."""
    said = result.message or (result.failure or {}).get("detail") or "it ended without an evaluation"
    return f"fit {planned.number} ({planned.label}) {result.status.value}: {said}"


def row_figures(outputs: Array, y: Array, *, is_classes: bool) -> RowFigures:
    """Give figures of single rows from class probabilities [n, K], or numbers [n, 1] in original units, and targets [n]."""
    if is_classes:
        named = outputs[np.arange(len(y)), y]
        loss = -np.log(np.maximum(named, np.finfo(np.float64).tiny))
        return RowFigures(loss=loss, hit=(outputs.argmax(axis=1) == y).astype(np.float64), target=None)
    about = y - y.mean()
    if y.min() == y.max():
        about = np.zeros_like(about)
    return RowFigures(loss=(outputs[:, 0] - y) ** 2, hit=None, target=about)


def with_intervals(figures: RowFigures, resamples: int, seed: int, purpose: str) -> dict[str, Interval]:
    """Give loss and metrics of rows with percentile bootstrap intervals."""
    found = _with_intervals(figures, resampled(figures, resamples, derive(seed, "result", purpose), "rows"))
    return {name: Interval(**value) for name, value in found.items() if isinstance(value, dict)}


def is_classification(dataset: Dataset) -> bool:
    """Tell classes from numbers."""
    return dataset.info.task == "classification"


METRIC_WORDS = {"loss": "loss", "accuracy": "accuracy", "rmse": "RMSE", "r2": "R²"}


def metric_words(name: str) -> str:
    """Name a figure for people: the validation R² for `val_r2`, the RMSE for `rmse`."""
    return f"validation {METRIC_WORDS[name.removeprefix('val_')]}" if name.startswith("val_") else METRIC_WORDS[name]


def shown(value: float | Interval | Spread) -> str:
    """Write a figure for a sentence: to 3 significant digits or the nearest whole, with its interval where it has one.

    A value has no more decimals than its bounds.
    """
    if isinstance(value, Interval):
        return f"{shown(_as_exact(value.value, value.low, value.high))} [{shown(value.low)}, {shown(value.high)}]"
    if isinstance(value, Spread):
        if value.low is None or value.high is None:
            return shown(value.mean)
        return shown(Interval(value=value.mean, low=value.low, high=value.high))
    value = _beyond(value)
    return f"{value:.0f}" if 999.5 <= abs(value) < 1e9 else written(value, 3)


def shown_mean(value: Interval | Spread, count: int, of: str = "folds") -> str:
    """Write a mean over divisions, and say of which kind its interval is: on few divisions a t interval is wide."""
    return f"{shown(value)} (95 % t interval of the mean over {count} {of})" if count > 1 else shown(value)


def _as_exact(value: float, low: float, high: float) -> float:
    """Round a value to the decimals that its bounds have."""
    decimals = [2 - math.floor(math.log10(abs(bound))) for bound in (low, high) if bound]
    return round(_beyond(value), max(0, *decimals)) + 0.0 if decimals else value


def _beyond(value: float) -> float:
    """Give the next number away from zero: then a half is rounded up, as people and the pages do, and not to what is even."""
    return math.nextafter(value, math.copysign(math.inf, value)) if value else value
