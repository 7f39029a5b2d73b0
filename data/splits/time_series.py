"""Training rows, a gap, validation rows: in order of time, and never the other way round."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data.counting import counted
from data.dataset import Array, Dataset
from data.later import Later
from data.splits.cutting import Cutter
from data.splits.division import Division, SplitProblem, check_room
from data.splits.spec import TimeSeriesSpec

model_selection = Later("sklearn.model_selection")


def time_series(spec: TimeSeriesSpec, dataset: Dataset, seed: int, rows: Array) -> list[Division]:
    """Set the latest rows aside, then cut what is left of `rows` into blocks that are validated one after another.

    A training row of the time of a fold's first validation row is left out of that fold. Among rows of one time their content
    decides which come first, so that the order of the file means nothing.

    Raises:
        SplitProblem: as `divisions`.
    """
    timed = dataset if dataset.times is not None else replace(dataset, times=np.arange(dataset.info.num_rows))
    assert timed.times is not None
    rest, test = Cutter(spec, timed, seed, rows).cut(rows, spec.test_fraction, "/split/test_fraction")
    check_room(spec.folds, len(rest), "/split/folds")
    cuts = _cuts(spec, len(rest))
    times = timed.times[rest]
    ordered = _settled(timed, rest, times, cuts)
    found = []
    for i, (train, val) in enumerate(cuts, start=1):
        earlier = train[times[train] < times[val[0]]]
        if len(earlier) == 0:
            message = f"all {len(train)} training rows of fold {i} are of the time of its first validation row"
            advice = "ask for fewer folds" if spec.window == "expanding" else "ask for fewer folds or a longer window"
            raise SplitProblem(f"{message}: {advice}", pointer="/split", code="no_training_rows")
        found.append(Division(train=ordered[earlier], val=ordered[val], test=test, label=f"fold {i}", place={"fold": i}))
    return found


def _cuts(spec: TimeSeriesSpec, num_rows: int) -> list[tuple[Array, Array]]:
    """Give the positions of training and validation rows, fold by fold."""
    val_rows = num_rows // (spec.folds + 1) if spec.val_rows is None else spec.val_rows
    if val_rows == 0:
        message = f"{counted(num_rows, 'row')} cannot make {spec.folds} validation blocks and leave rows to train on"
        raise SplitProblem(message, pointer="/split/folds", code="too_few_rows")
    num_first = num_rows - spec.gap_rows - spec.folds * val_rows
    if num_first < 1:
        gap = f" and a gap of {spec.gap_rows}" if spec.gap_rows else ""
        message = f"{spec.folds} validation blocks of {counted(val_rows, 'row')}{gap} leave none of {counted(num_rows, 'row')} to train on"
        pointer = "/split/gap_rows" if num_first + spec.gap_rows >= 1 else "/split/val_rows"
        raise SplitProblem(message, pointer=pointer, code="no_training_rows")
    window = _window(spec, num_first, num_first + (spec.folds - 1) * val_rows)
    if spec.folds == 1:  # TimeSeriesSplit begins at two
        positions, end = np.arange(num_rows), num_first
        return [(positions[max(0, end - (window or end)) : end], positions[num_rows - val_rows :])]
    splitter = model_selection.TimeSeriesSplit(spec.folds, max_train_size=window, test_size=val_rows, gap=spec.gap_rows)
    return list(splitter.split(np.empty(num_rows)))


def _window(spec: TimeSeriesSpec, num_first: int, num_last: int) -> int | None:
    """Give the most training rows, if there is such a bound; the first and last fold have `num_first` and `num_last` without it."""
    if spec.window == "expanding":
        if spec.window_rows is not None:
            message = "an expanding window has all rows before the gap: set window to sliding, or leave window_rows out"
            raise SplitProblem(message, pointer="/split/window_rows", code="no_effect")
        return None
    if spec.window_rows is None and spec.folds == 1:
        raise SplitProblem("a single fold's window has nowhere to slide", pointer="/split/window", code="no_effect")
    if spec.window_rows is not None and spec.window_rows >= num_last:
        message = f"a window of {counted(spec.window_rows, 'row')} never slides: no fold has more than {counted(num_last, 'training row')}"
        raise SplitProblem(message, pointer="/split/window_rows", code="no_effect")
    return num_first if spec.window_rows is None else spec.window_rows


def _settled(dataset: Dataset, ordered: Array, times: Array, cuts: Sequence[tuple[Array, Array]]) -> Array:
    """Order rows of one time by a hash of their content, where a boundary of a part would separate them."""
    bounds = np.unique([[train[0], train[-1] + 1, val[0], val[-1] + 1] for train, val in cuts])
    inner = bounds[(bounds > 0) & (bounds < len(times))]
    parted = np.unique(times[inner[times[inner - 1] == times[inner]]])
    settled = ordered.copy()
    for instant in parted:
        first, last = np.searchsorted(times, instant, side="left"), np.searchsorted(times, instant, side="right")
        rows = ordered[first:last]
        settled[first:last] = rows[np.argsort([_content(dataset, row) for row in rows], kind="stable")]
    return settled


def _content(dataset: Dataset, row: int) -> bytes:
    digest = hashlib.blake2b(np.ascontiguousarray(dataset.x[row]).tobytes(), digest_size=16)
    digest.update(dataset.y[row].tobytes())
    return digest.digest()
