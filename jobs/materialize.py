"""From a planned fit to the arrays it trains on. Rows are never stored with a job: they are rebuilt by replay."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.dataset import Dataset, DatasetInfo
from data.preprocessing.build import PreparedPart, PreparedSplit, prepare
from data.preprocessing.state import GridPreparation, Preparation
from jobs.plans.fits import Conclusion, FitResult, PlannedFit
from jobs.plans.replay import replay
from jobs.rows import division_of
from jobs.spec import JobSpec
from training.records import Fit, FitData, Rows


class RowsChanged(ValueError):
    """The rows of a fit are not those that were planned: the dataset or the splitter has changed since."""


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """A fit ready to be trained, and how its rows were prepared."""

    fit: Fit
    preparation: Preparation


def materialize(spec: JobSpec, dataset: Dataset, number: int, *, expected_row_hash: str, results: Sequence[FitResult] = ()) -> Materialized:
    """Rebuild fit `number` of a resolved `spec`, whose earlier rounds gave `results`.

    Raises:
        RowsChanged: its rows do not hash to `expected_row_hash`, or the plan asks for no such fit.
        OSError: the dataset's files are not on this machine.
    """
    planned = _awaited(spec, dataset, number, results)
    if planned is None or planned.row_hash != expected_row_hash:
        raise RowsChanged(f"fit {number}: the rows of dataset {spec.dataset} are not those that were planned")
    dtype = np.float64 if spec.training.precision == "float64" else np.float32
    split = prepare(spec.preprocessing, dataset, division_of(spec, dataset), dtype)
    fit = Fit(number=number, seed=planned.seed, spec=spec, data=_fit_data(split, dataset.info))
    return Materialized(fit=fit, preparation=split.state)


def _awaited(spec: JobSpec, dataset: Dataset, number: int, results: Sequence[FitResult]) -> PlannedFit | None:
    awaited = replay(spec, dataset, results)
    if isinstance(awaited, Conclusion):
        return None
    return next((fit for fit in awaited if fit.number == number), None)


def _fit_data(split: PreparedSplit, info: DatasetInfo) -> FitData:
    def rows(part: PreparedPart) -> Rows:
        return Rows(x=part.x, y=part.y)

    inputs = split.state.inputs
    return FitData(
        task=info.task,
        num_outputs=info.num_outputs,
        train=rows(split.train),
        val=None if split.val is None else rows(split.val),
        test=None if split.test is None else rows(split.test),
        target_scale=split.state.target.scale,
        channel_units=(inputs.offset, inputs.scale) if isinstance(inputs, GridPreparation) and inputs.kind == "image" else None,
        class_labels=info.class_labels,
    )
