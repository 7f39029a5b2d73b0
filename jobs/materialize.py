"""From a planned fit to the arrays it trains on. Rows are never stored with a job: they are rebuilt by replay."""

from collections.abc import Sequence

import numpy as np

from data.dataset import DatasetInfo
from data.preprocessing.build import PreparedPart, PreparedSplit, prepare
from jobs.plans.fits import Conclusion, FitResult, PlannedFit
from jobs.plans.replay import replay
from jobs.rows import division_of
from jobs.spec import JobSpec
from training.records import Fit, FitData, Rows


class RowsChanged(ValueError):
    """The rows of a fit are not those that were planned: the dataset or the splitter has changed since."""


def materialize(spec: JobSpec, number: int, *, expected_row_hash: str, results: Sequence[FitResult] = ()) -> Fit:
    """Rebuild fit `number` of a resolved `spec`, whose earlier rounds gave `results`.

    Raises:
        RowsChanged: its rows do not hash to `expected_row_hash`, or the plan asks for no such fit.
        OSError: the dataset's files are not on this machine.
    """
    planned = _awaited(spec, number, results)
    if planned is None or planned.row_hash != expected_row_hash:
        raise RowsChanged(f"fit {number}: the rows of dataset {spec.dataset} are not those that were planned")
    dataset, division = division_of(spec)
    split = prepare(spec.preprocessing, dataset, division, np.float64 if spec.training.precision == "float64" else np.float32)
    data = _fit_data(split, dataset.info)
    return Fit(number=number, seed=planned.seed, spec=spec, data=data)


def _awaited(spec: JobSpec, number: int, results: Sequence[FitResult]) -> PlannedFit | None:
    awaited = replay(spec, results)
    if isinstance(awaited, Conclusion):
        return None
    return next((fit for fit in awaited if fit.number == number), None)


def _fit_data(split: PreparedSplit, info: DatasetInfo) -> FitData:
    def rows(part: PreparedPart) -> Rows:
        return Rows(x=part.x, y=part.y)

    mean, scale = split.state["feature_mean"], split.state["feature_scale"]
    return FitData(
        task=info.task,
        num_outputs=info.num_outputs,
        train=rows(split.train),
        val=None if split.val is None else rows(split.val),
        test=None if split.test is None else rows(split.test),
        target_scale=split.target_scale,
        channel_units=(tuple(mean), tuple(scale)) if info.kind == "image" and mean is not None else None,
        class_labels=info.class_labels,
    )
