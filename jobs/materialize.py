"""From a planned fit to the arrays it trains on. Rows are never stored with a job: they are rebuilt by replay."""

from collections import OrderedDict
from collections.abc import Hashable
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


class PreparedRows:
    """Rows that were prepared before, kept for jobs on the same rows prepared alike: those used last, up to `max_bytes`.

    Whoever is given them must not write to them.
    """

    def __init__(self, max_bytes: int = 0) -> None:
        """Keep none yet."""
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Hashable, tuple[FitData, Preparation]] = OrderedDict()
        self._num_bytes = 0

    def find(self, key: Hashable) -> tuple[FitData, Preparation] | None:
        """Give what is kept under a key."""
        if key not in self._kept:
            return None
        self._kept.move_to_end(key)
        return self._kept[key]

    def keep(self, key: Hashable, data: FitData, preparation: Preparation) -> None:
        """Keep prepared rows, unless they alone would take more than a quarter of the room."""
        taken = _num_bytes(data)
        if key in self._kept or 4 * taken > self._max_bytes:
            return
        self._kept[key] = (data, preparation)
        self._num_bytes += taken
        while self._num_bytes > self._max_bytes:
            self._num_bytes -= _num_bytes(self._kept.popitem(last=False)[1][0])


def _num_bytes(data: FitData) -> int:
    parts = [rows for rows in (data.train, data.val, data.test) if rows is not None]
    further = [values for values in (data.weights, data.asked) if values is not None]
    return sum(rows.x.nbytes + rows.y.nbytes for rows in parts) + sum(values.nbytes for values in further)


class Materializer:
    """Prepares the rows of planned fits of one dataset; fits that see the same rows, prepared alike, share arrays."""

    def __init__(self, dataset: Dataset, before: PreparedRows | None = None) -> None:
        """Prepare nothing yet; what was prepared `before` is not prepared again."""
        self._dataset = dataset
        self._before = before or PreparedRows()
        self._prepared: dict[Hashable, tuple[FitData, Preparation]] = {}

    def materialize(self, planned: PlannedFit) -> Materialized:
        """Prepare the rows of a planned fit: all that is learned for it is learned from its own training rows.

        Raises:
            UnfitRows: they cannot be prepared as the spec asks.
            OSError: the dataset's files are not on this machine.
        """
        spec = planned.spec
        # The id, for equal content may be described otherwise: as words or as numbers.
        key = (self._dataset.info.id, planned.row_hash, spec.preprocessing.model_dump_json(), spec.training.precision)
        found = self._prepared.get(key) or self._before.find(key)
        if found is None:
            found = _prepared(planned, self._dataset)
            self._before.keep(key, *found)
        self._prepared[key] = found
        data, preparation = found
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
