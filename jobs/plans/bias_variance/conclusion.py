"""From answers of resampled fits to the terms of their error."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.dataset import Array, Dataset
from data.splits.build import Division
from jobs.plans.bias_variance.result import AnswerBand, BiasVariancePoint, BiasVarianceResult, SquaredTerms, ZeroOneTerms
from jobs.plans.bias_variance.terms import squared_terms, zero_one_terms
from jobs.plans.ensembles import outputs_of
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.maker import FitMaker
from jobs.plans.results import fit_figures, is_classification, spread
from jobs.pointers import words_of

_BAND_ROWS = 200


@dataclass(frozen=True)
class Measured:
    """The finished fits of one value of the axis, resample by resample."""

    label: str
    value: Any
    planned: Sequence[PlannedFit]
    results: Sequence[FitResult]


def conclude(pointer: str | None, maker: FitMaker, division: Division, measured: Sequence[Measured]) -> BiasVarianceResult:
    """Decompose the error at every value of the axis."""
    points = [_point(maker.dataset, division.val, one) for one in measured]
    best = int(np.argmin([point.terms.error for point in points]))
    return BiasVarianceResult(
        sentence=_sentence(points, best, pointer),
        fits=[fit_figures(*pair) for one in measured for pair in zip(one.planned, one.results, strict=True)],
        resamples=len(measured[0].planned),
        evaluation_rows=len(division.val),
        axis=pointer,
        points=points,
        best=best,
    )


def _point(dataset: Dataset, rows: Array, one: Measured) -> BiasVariancePoint:
    y = dataset.y[rows]
    truth = None if dataset.truth is None else dataset.truth[rows]
    terms: SquaredTerms | ZeroOneTerms
    band = None
    if is_classification(dataset):
        named = np.stack([outputs_of(result).argmax(axis=1) for result in one.results])
        terms, losses = zero_one_terms(named, y, dataset.info.num_outputs), named != y
    else:
        answers = np.stack([outputs_of(result)[:, 0] for result in one.results])
        terms, losses = squared_terms(answers, y, truth), (answers - y) ** 2
        band = _band(dataset.x[rows].ravel(), y, answers, truth) if dataset.info.input_shape == (1,) else None
    return BiasVariancePoint(
        label=one.label,
        value=one.value,
        num_parameters=one.planned[0].num_parameters,
        terms=terms,
        fit_errors=spread(losses.mean(axis=1).tolist()),
        band=band,
    )


def _band(x: Array, y: Array, answers: Array, truth: Array | None) -> AnswerBand | None:
    """Choose rows evenly by rank of x."""
    if not np.isfinite(x).all():  # missing values and words have no place on an axis
        return None
    order = np.argsort(x, kind="stable")
    chosen = order[np.unique(np.linspace(0, len(x) - 1, min(len(x), _BAND_ROWS)).round().astype(np.int64))]
    shown = answers[:, chosen]
    return AnswerBand(
        x=x[chosen].tolist(),
        y=y[chosen].tolist(),
        mean=shown.mean(axis=0).tolist(),
        std=shown.std(axis=0).tolist(),
        truth=None if truth is None else truth[chosen].tolist(),
    )


def _sentence(points: Sequence[BiasVariancePoint], best: int, pointer: str | None) -> str:
    point = points[best]
    terms = point.terms
    if isinstance(terms, SquaredTerms):
        rest = f"bias squared and noise {terms.bias_squared_plus_noise:.4g}"
        if terms.bias_squared is not None:
            rest = f"bias squared {terms.bias_squared:.4g}, noise {terms.noise:.4g}, their cross term {terms.cross_term:.4g}"
        told = f"{terms.error:.4g}: variance {terms.variance:.4g}, {rest}"
    else:
        told = f"{terms.error:.4g}: bias {terms.bias:.4g}, variance {terms.variance_unbiased:.4g} where that is right, less {terms.variance_biased:.4g} where it is wrong"
    name = "mean squared error" if isinstance(terms, SquaredTerms) else "mean 0-1 loss"
    if pointer is None:
        return f"The {name} is {told}."
    return f"Of {len(points)} values of {words_of(pointer)}, {json.dumps(point.value)} has the least {name}, {told}{_shape(points, best)}."


def _shape(points: Sequence[BiasVariancePoint], best: int) -> str:
    """Say where on the axis the least error is."""
    if 0 < best < len(points) - 1:
        return "; on both sides of it the error is larger"
    return f"; it is the {'first' if best == 0 else 'last'} value, so the curve has no turning point on this axis"
