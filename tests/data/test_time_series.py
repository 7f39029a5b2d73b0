"""Time series: sizes, gaps, windows, equal times, order."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from data.dataset import Dataset
from data.splits.build import divisions
from data.splits.division import Division, SplitProblem
from data.splits.remarks import split_remarks
from data.splits.spec import TimeSeriesSpec
from tests.factories import a_dataset


def _spec(**fields: Any) -> TimeSeriesSpec:
    return TimeSeriesSpec.model_validate({"name": "time_series", **fields})


def _rows(count: int, times: Any = None) -> Dataset:
    return a_dataset(np.arange(float(count)).reshape(-1, 1), np.arange(float(count)), times=times)


def _found(count: int, **fields: Any) -> tuple[list[list[int]], list[list[int]]]:
    found = divisions(_spec(**fields), _rows(count), 0)
    return [one.train.tolist() for one in found], [one.val.tolist() for one in found]


def _problem(spec: TimeSeriesSpec, dataset: Dataset) -> tuple[str, str, str]:
    with pytest.raises(SplitProblem) as caught:
        divisions(spec, dataset, 0)
    return caught.value.pointer, caught.value.code, str(caught.value)


def test_reference_values() -> None:
    """B036."""
    train, val = _found(10, folds=3)
    assert train == [list(range(4)), list(range(6)), list(range(8))]
    assert val == [[4, 5], [6, 7], [8, 9]]
    train, val = _found(10, folds=3, gap_rows=1)
    assert train == [list(range(3)), list(range(5)), list(range(7))]
    assert val == [[4, 5], [6, 7], [8, 9]]
    train, val = _found(11, folds=3)
    assert [len(rows) for rows in train] == [5, 7, 9]
    assert [len(rows) for rows in val] == [2, 2, 2]
    train, val = _found(10, folds=2, val_rows=2, gap_rows=2, window="sliding", window_rows=4)
    assert train == [[0, 1, 2, 3], [2, 3, 4, 5]]
    assert val == [[6, 7], [8, 9]]


def test_a_sliding_window_is_as_long_as_the_first_fold_unless_asked() -> None:
    train, _ = _found(10, folds=3, window="sliding")
    assert train == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]


def test_a_single_fold_validates_the_end() -> None:
    assert _found(10, folds=1, gap_rows=1) == ([[0, 1, 2, 3]], [[5, 6, 7, 8, 9]])
    assert _found(10, folds=1, val_rows=2, window="sliding", window_rows=3) == ([[5, 6, 7]], [[8, 9]])


def test_the_latest_rows_are_set_aside_first() -> None:
    times = np.array([9, 0, 8, 1, 7, 2, 6, 3, 5, 4, 10, 11])
    found = divisions(_spec(folds=3, test_fraction=0.2), _rows(12, times), 0)
    assert [times[one.test].tolist() for one in found] == [[10, 11]] * 3
    assert [times[one.train].tolist() for one in found] == [list(range(4)), list(range(6)), list(range(8))]
    assert [times[one.val].tolist() for one in found] == [[4, 5], [6, 7], [8, 9]]


def test_times_are_numbers() -> None:
    """B030: 9 comes before 10."""
    times = np.array([10, 9, 2, 1])
    [one] = divisions(_spec(folds=1, val_rows=1), _rows(4, times), 0)
    assert times[one.val].tolist() == [10]


@pytest.mark.parametrize(
    ("fields", "pointer", "code", "says"),
    [
        ({"folds": 5, "val_rows": 2}, "val_rows", "no_training_rows", "5 validation blocks of 2 rows leave none of 10 rows"),
        ({"folds": 3, "gap_rows": 4}, "gap_rows", "no_training_rows", "3 validation blocks of 2 rows and a gap of 4 leave none of 10 rows"),
        ({"folds": 10}, "folds", "too_few_rows", "10 rows cannot make 10 validation blocks"),
        ({"folds": 2, "window_rows": 3}, "window_rows", "no_effect", "an expanding window has all rows"),
        ({"folds": 3, "window": "sliding", "window_rows": 8}, "window_rows", "no_effect", "no fold has more than 8"),
        ({"folds": 1, "window": "sliding"}, "window", "no_effect", "nowhere to slide"),
        ({"folds": 2, "test_fraction": 0.97}, "test_fraction", "no_training_rows", "holding out 10 rows leaves none of 10"),
    ],
)
def test_what_cannot_be_and_what_changes_nothing_is_refused(fields: dict[str, Any], pointer: str, code: str, says: str) -> None:
    """B036, B044: at submit, with both numbers."""
    found = _problem(_spec(**fields), _rows(10))
    assert found[:2] == (f"/split/{pointer}", code)
    assert says in found[2]


def test_a_training_row_of_the_time_of_the_first_validation_row_is_left_out() -> None:
    """B030: and said."""
    times = np.array([0, 1, 2, 3, 3, 5, 6, 7, 8, 9])
    dataset, spec = _rows(10, times), _spec(folds=3)
    found = divisions(spec, dataset, 0)
    assert [times[one.train].tolist() for one in found] == [[0, 1, 2], [0, 1, 2, 3, 3, 5], [0, 1, 2, 3, 3, 5, 6, 7]]
    assert [times[one.val].tolist() for one in found] == [[3, 5], [6, 7], [8, 9]]
    assert list(split_remarks(spec, dataset, found)) == [
        "rows of the time of a fold's first validation row are not trained on in that fold: 1 in fold 1"
    ]


def test_a_fold_that_loses_all_training_rows_so_is_refused() -> None:
    """B030."""
    pointer, code, message = _problem(_spec(folds=3), _rows(10, [3] * 5 + [4, 5, 6, 7, 8]))
    assert (pointer, code) == ("/split", "no_training_rows")
    assert "all 4 training rows of fold 1" in message


def test_rows_in_file_order_are_taken_with_a_warning() -> None:
    dataset, spec = _rows(10), _spec(folds=3)
    [warning] = split_remarks(spec, dataset, divisions(spec, dataset, 0))
    assert "small has no time column" in warning
    timed = _rows(10, range(10))
    assert list(split_remarks(spec, timed, divisions(spec, timed, 0))) == []


FIELDS = st.fixed_dictionaries(
    {"folds": st.integers(1, 6), "gap_rows": st.integers(0, 3)},
    optional={
        "val_rows": st.integers(1, 6),
        "window": st.just("sliding"),
        "window_rows": st.integers(1, 12),
        "test_fraction": st.sampled_from([0.1, 0.3]),
    },
)


def _attempt(spec: TimeSeriesSpec, dataset: Dataset) -> list[Division] | str:
    try:
        return divisions(spec, dataset, 0)
    except SplitProblem as problem:
        return f"{problem.pointer} {problem.code} {problem}"


@given(times=st.lists(st.integers(0, 25), min_size=1, max_size=50), fields=FIELDS, order=st.randoms(use_true_random=False))
def test_later_rows_are_never_trained_on_and_the_order_of_the_file_means_nothing(times: list[int], fields: Any, order: Any) -> None:
    """B030: times before 26 that repeat, rows whose content differs; a shuffled file gives the same sets of rows, or the same refusal."""
    values, places, spec = np.array(times), list(range(len(times))), _spec(**fields)
    order.shuffle(places)
    x = np.arange(float(len(times)))
    sorted_rows = a_dataset(x.reshape(-1, 1), x, times=values)
    shuffled_rows = a_dataset(x[places].reshape(-1, 1), x[places], times=values[places])
    found, again = _attempt(spec, sorted_rows), _attempt(spec, shuffled_rows)
    if isinstance(found, str) or isinstance(again, str):
        assert found == again
        return
    validated: Counter[int] = Counter()
    for one, other in zip(found, again, strict=True):
        held = [values[one.train], values[one.val]] + ([values[one.test]] if len(one.test) else [])
        assert held[0].max() < held[1].min()
        assert len(held) == 2 or max(held[0].max(), held[1].max()) < held[2].min()
        assert all((np.diff(part) >= 0).all() for part in held)
        validated.update(one.val.tolist())
        for before, after in zip((one.train, one.val, one.test), (other.train, other.val, other.test), strict=True):
            assert set(before.tolist()) == {places[i] for i in after}
    assert max(validated.values()) == 1


@given(rows=st.integers(2, 60), fields=FIELDS)
def test_distinct_times_are_cut_as_scikit_learn_does(rows: int, fields: Any) -> None:
    """B036: also where it refuses; a single fold is the last of two."""
    fields = {name: value for name, value in fields.items() if name != "test_fraction"}
    fields["folds"] = max(2, fields["folds"])
    if fields.get("window") != "sliding" or "window_rows" not in fields:
        fields = {name: value for name, value in fields.items() if name not in {"window", "window_rows"}}
    found = _attempt(_spec(**fields), _rows(rows, range(rows)))
    theirs = TimeSeriesSplit(
        fields["folds"], max_train_size=fields.get("window_rows"), test_size=fields.get("val_rows"), gap=fields["gap_rows"]
    )
    if isinstance(found, str):
        if "no_effect" not in found:
            with pytest.raises(ValueError, match=r"Too many splits|Cannot have number of folds"):
                list(theirs.split(np.zeros(rows)))
        return
    for one, (train, val) in zip(found, theirs.split(np.zeros(rows)), strict=True):
        assert one.train.tolist() == train.tolist()
        assert one.val.tolist() == val.tolist()
    if rows // 3 and len(found) == 2 and "val_rows" in fields:
        [last] = divisions(_spec(**{**fields, "folds": 1}), _rows(rows, range(rows)), 0)
        assert last.train.tolist() == found[-1].train.tolist()
        assert last.val.tolist() == found[-1].val.tolist()
