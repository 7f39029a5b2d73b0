"""From a planned fit to the arrays it trains on. Rows are never stored with a job: they are rebuilt by replay."""

from dataclasses import dataclass

import numpy as np

from data.dataset import Array, Dataset, DatasetInfo
from data.preprocessing.build import PreparedPart, PreparedSplit, prepare, prepare_rows
from data.preprocessing.state import GridPreparation, Preparation
from data.splits.build import Division
from jobs.plans.fits import FitRows, PlannedFit
from training.records import Fit, FitData, Rows


class RowsChanged(ValueError):
    """The rows of a fit are not those that were planned: the dataset or the splitter has changed since."""


@dataclass(frozen=True, kw_only=True)
class Materialized:
    """A fit ready to be trained, and how its rows were prepared."""

    fit: Fit
    preparation: Preparation


class Materializer:
    """Prepares the rows of planned fits of one dataset; fits that see the same rows, prepared alike, share arrays."""

    def __init__(self, dataset: Dataset) -> None:
        """Prepare nothing yet."""
        self._dataset = dataset
        self._prepared: dict[tuple[str, str, str], tuple[FitData, Preparation]] = {}

    def materialize(self, planned: PlannedFit) -> Materialized:
        """Prepare the rows of a planned fit: all that is learned for it is learned from its own training rows.

        Raises:
            UnfitRows: they cannot be prepared as the spec asks.
            OSError: the dataset's files are not on this machine.
        """
        spec = planned.spec
        key = (planned.row_hash, spec.preprocessing.model_dump_json(), spec.training.precision)
        if key not in self._prepared:
            self._prepared[key] = _prepared(planned, self._dataset)
        data, preparation = self._prepared[key]
        fit = Fit(number=planned.number, seed=planned.seed, spec=spec, data=data, stop_at=planned.stop_at, pause_at=planned.pause_at)
        return Materialized(fit=fit, preparation=preparation)


def materialize(planned: PlannedFit, dataset: Dataset) -> Materialized:
    """Prepare one fit's rows, as `Materializer.materialize`."""
    return Materializer(dataset).materialize(planned)


def _prepared(planned: PlannedFit, dataset: Dataset) -> tuple[FitData, Preparation]:
    rows, spec = planned.rows(), planned.spec
    dtype = np.float64 if spec.training.precision == "float64" else np.float32
    split = prepare(spec.preprocessing, dataset, Division(train=rows.train, val=rows.val, test=rows.test), dtype)
    return _fit_data(split, dataset.info, rows, _asked(split, dataset, rows, dtype)), split.state


def _asked(split: PreparedSplit, dataset: Dataset, rows: FitRows, dtype: type[np.float32] | type[np.float64]) -> Array | None:
    if rows.asked is None:
        return None
    if split.val is not None and np.array_equal(rows.asked, rows.val):
        return split.val.x
    return prepare_rows(split.state, dataset, rows.asked, dtype)


def _fit_data(split: PreparedSplit, info: DatasetInfo, drawn: FitRows, asked: Array | None) -> FitData:
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
        weights=drawn.weights,
        asked=asked,
    )
