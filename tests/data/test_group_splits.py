"""Hold-out of whole groups and of the latest rows, and what decides between them."""

from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.dataset import Dataset
from data.splits.build import Division, SplitProblem, divide, grain
from data.splits.spec import HoldoutSpec, PredefinedSpec
from tests.factories import a_dataset

FRACTIONS = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.3, 0.5])
SEEDS = st.integers(0, 2**32 - 1)


def _holdout(**fields: object) -> HoldoutSpec:
    return HoldoutSpec.model_validate({"name": "holdout", **fields})


def _predefined(**fields: object) -> PredefinedSpec:
    return PredefinedSpec.model_validate({"name": "predefined", **fields})


def _rows(
    count: int,
    *,
    groups: object = None,
    times: object = None,
    parts: object = None,
    task: Literal["regression", "classification"] = "regression",
) -> Dataset:
    return a_dataset(np.zeros((count, 1)), np.arange(count) % 2, task=task, groups=groups, times=times, parts=parts)  # type: ignore[arg-type]


def _parts(division: Division) -> list[np.ndarray]:
    return [division.train, division.val, division.test]


def _every_row_once(division: Division, count: int) -> bool:
    return sorted(np.concatenate(_parts(division)).tolist()) == list(range(count))


def _share(fraction: float, count: int) -> int:
    return 0 if fraction == 0 else max(1, int(np.floor(fraction * count + 0.5 + 1e-9)))


@given(groups=st.lists(st.integers(-3, 12), min_size=1, max_size=80), val=FRACTIONS, test=FRACTIONS, seed=SEEDS)
def test_no_group_is_on_two_sides_and_fractions_are_of_groups(groups: list[int], val: float, test: float, seed: int) -> None:
    """B035: whatever the groups; a split that would leave none to train on is refused and names both numbers."""
    spec, dataset = _holdout(val_fraction=val, test_fraction=test, by="group"), _rows(len(groups), groups=groups)
    num_groups = len(set(groups))
    expected = [_share(val, num_groups), _share(test, num_groups)]
    if sum(expected) >= num_groups:
        with pytest.raises(SplitProblem, match=r"holding out \d+ groups leaves none of \d+ to train on") as caught:
            divide(spec, dataset, seed)
        assert caught.value.code == "no_training_rows"
        return
    division = divide(spec, dataset, seed)
    assert _every_row_once(division, len(groups))
    sides = [set(np.array(groups)[part].tolist()) for part in _parts(division)]
    assert [len(side) for side in sides] == [num_groups - sum(expected), *expected]
    assert len(set.union(*sides)) == num_groups


def test_three_groups_of_two_rows_by_hand() -> None:
    """B035: a third of a, a, b, b, c, c is one whole group of two rows."""
    dataset = _rows(6, groups=[0, 0, 1, 1, 2, 2])
    division = divide(_holdout(val_fraction=0.33), dataset, 0)
    assert sorted(division.val.tolist()) in [[0, 1], [2, 3], [4, 5]]
    assert len(division.train) == 4
    others = {tuple(divide(_holdout(val_fraction=0.33), dataset, seed).val.tolist()) for seed in range(20)}
    assert len(others) == 3


def test_too_few_groups_are_counted_in_the_message() -> None:
    """B035."""
    with pytest.raises(SplitProblem, match="holding out 1 groups leaves none of 1 to train on") as caught:
        divide(_holdout(val_fraction=0.3, test_fraction=0.3), _rows(6, groups=[0, 0, 0, 1, 1, 1]), 0)
    assert (caught.value.pointer, caught.value.code) == ("/split/val_fraction", "no_training_rows")


@pytest.mark.parametrize("spec", [_holdout, _predefined])
@pytest.mark.parametrize("by", ["group", "time"])
def test_a_column_that_is_not_there_cannot_be_held_out_by(spec: type, by: str) -> None:
    """B035."""
    with pytest.raises(SplitProblem, match=f"no {by} column") as caught:
        divide(spec(by=by), _rows(6, parts=[0, 0, 0, 0, 2, 2]), 0)
    assert (caught.value.pointer, caught.value.code) == ("/split/by", f"no_{by}_column")


def test_nothing_is_drawn_where_the_dataset_has_validation_rows_of_its_own() -> None:
    """B044."""
    with pytest.raises(SplitProblem, match="validation rows of its own") as caught:
        divide(_predefined(by="group"), _rows(6, parts=[0, 0, 0, 1, 2, 2], groups=range(6)), 0)
    assert (caught.value.pointer, caught.value.code) == ("/split/by", "no_effect")


def test_groups_are_never_in_file_order() -> None:
    """B044."""
    with pytest.raises(SplitProblem, match="drawn by the seed") as caught:
        divide(_holdout(by="group", shuffle=False), _rows(6, groups=range(6)), 0)
    assert (caught.value.pointer, caught.value.code) == ("/split/shuffle", "no_effect")


@pytest.mark.parametrize("by", ["group", "time"])
def test_what_is_not_held_out_by_rows_is_not_stratified(by: str) -> None:
    dataset = _rows(6, groups=[0, 0, 1, 1, 2, 2], times=range(6), task="classification")
    with pytest.raises(SplitProblem, match="cannot be stratified") as caught:
        divide(_holdout(by=by, stratify=True), dataset, 0)
    assert (caught.value.pointer, caught.value.code) == ("/split/stratify", "does_not_apply")


def _attempt(spec: HoldoutSpec, times: np.ndarray) -> tuple[Division | None, str]:
    try:
        return divide(spec, _rows(len(times), times=times), 0), ""
    except SplitProblem as problem:
        return None, f"{problem} {problem.code} {problem.pointer}"


@given(
    times=st.lists(st.integers(0, 15) | st.floats(0, 15), min_size=2, max_size=60),
    val=FRACTIONS,
    test=FRACTIONS,
    order=st.randoms(use_true_random=False),
)
def test_later_rows_are_never_trained_on_whatever_the_order_of_the_file(times: list[float], val: float, test: float, order: object) -> None:
    """B030: every time before the cut is below every time after it, and shuffled rows give the same sets in the same order of times."""
    spec, values = _holdout(val_fraction=val, test_fraction=test, by="time"), np.array(times, dtype=np.float64)
    places = list(range(len(times)))
    order.shuffle(places)  # type: ignore[attr-defined]
    division, problem = _attempt(spec, values)
    again, again_problem = _attempt(spec, values[places])
    if division is None or again is None:
        assert problem == again_problem
        left = len(times) - _share(val, len(times)) - _share(test, len(times))
        assert len(set(times)) < len(times) or left < 1
        return
    assert _every_row_once(division, len(times))
    sides = [values[part] for part in _parts(division)]
    held = [side for side in sides if len(side)]
    assert all(before.max() < after.min() for before, after in pairwise(held))
    assert all((np.diff(side) >= 0).all() for side in sides)
    assert [len(side) > 0 for side in sides] == [True, val > 0, test > 0]
    shuffled = values[places]
    for before, after in zip(_parts(division), _parts(again), strict=True):
        assert set(before.tolist()) == {places[i] for i in after}
        assert values[before].tolist() == shuffled[after].tolist()


def test_distinct_times_are_cut_where_the_fractions_say() -> None:
    """B030: 9 comes before 10, as numbers do and texts do not."""
    times = np.array([10, 9, 2, 1, 8, 7, 3, 6, 5, 4])
    division = divide(_holdout(val_fraction=0.2, test_fraction=0.1), _rows(10, times=times), 0)
    assert [times[part].tolist() for part in _parts(division)] == [[1, 2, 3, 4, 5, 6, 7], [8, 9], [10]]


@pytest.mark.parametrize(
    ("times", "expected"),
    [([1, 2, 3, 3, 3, 4], [1, 2]), ([1, 1, 1, 1, 2], [1, 1, 1, 1]), ([5, 5, 1, 5], [1])],
)
def test_rows_of_one_time_stay_on_one_side(times: list[int], expected: list[int]) -> None:
    """B030: the cut moves to before them, or after them if nothing would be left to train on."""
    found = divide(_holdout(val_fraction=0.5), _rows(len(times), times=times), 0)
    assert np.array(times)[found.train].tolist() == expected


def test_rows_of_a_single_time_cannot_be_cut() -> None:
    """B030."""
    with pytest.raises(SplitProblem, match="are of one time") as caught:
        divide(_holdout(), _rows(6, times=[3] * 6), 0)
    assert (caught.value.pointer, caught.value.code) == ("/split/val_fraction", "no_training_rows")


@pytest.mark.parametrize(
    ("columns", "spec", "expected"),
    [
        ((), _holdout(), "rows"),
        (("groups",), _holdout(), "group"),
        (("times",), _holdout(), "time"),
        (("groups", "times"), _holdout(), "time"),
        (("groups", "times"), _holdout(by="group"), "group"),
        (("groups", "times"), _holdout(by="rows"), "rows"),
        (("groups", "times"), _holdout(shuffle=False), "rows"),
        (("groups", "times"), _holdout(shuffle=False, by="time"), "time"),
        (("groups",), _predefined(), "group"),
        (("groups", "times"), _predefined(), "time"),
        (("groups", "times"), _predefined(by="rows"), "rows"),
    ],
)
def test_what_is_held_out_follows_from_the_columns_that_are_there(
    columns: tuple[str, ...], spec: HoldoutSpec | PredefinedSpec, expected: str
) -> None:
    """Time wins over groups; rows in file order are rows; what is asked for stands."""
    assert grain(spec, _rows(6, **{column: range(6) for column in columns})) == expected  # type: ignore[arg-type]


def test_by_rows_ignores_groups_and_times() -> None:
    rows = divide(_holdout(by="rows"), _rows(20), 5)
    columns = divide(_holdout(by="rows"), _rows(20, groups=[0] * 20, times=[0] * 20), 5)
    assert all(np.array_equal(a, b) for a, b in zip(_parts(rows), _parts(columns), strict=True))


@given(groups=st.lists(st.integers(0, 9), min_size=8, max_size=60), seed=SEEDS)
def test_validation_groups_of_a_predefined_split_come_from_its_training_rows(groups: list[int], seed: int) -> None:
    """B035: the test rows stay as they are, and fractions are of all groups."""
    parts = np.where(np.array(groups) >= 7, 2, 0)
    if len(set(np.array(groups)[parts == 0])) < 3:
        return
    division = divide(_predefined(val_fraction=0.1), _rows(len(groups), groups=groups, parts=parts), seed)
    assert np.array_equal(division.test, np.flatnonzero(parts == 2))
    assert _every_row_once(division, len(groups))
    sides = [set(np.array(groups)[part].tolist()) for part in (division.train, division.val)]
    assert len(sides[1]) == 1
    assert not sides[0] & sides[1]


def test_validation_rows_of_a_predefined_split_are_the_latest_of_its_training_rows() -> None:
    """B030."""
    times = np.array([3, 1, 2, 9, 5, 4, 0, 8, 7, 6])
    parts = np.array([0, 0, 0, 0, 0, 0, 0, 2, 2, 2])
    division = divide(_predefined(val_fraction=0.2), _rows(10, times=times, parts=parts), 0)
    assert [times[part].tolist() for part in _parts(division)] == [[0, 1, 2, 3, 4], [5, 9], [8, 7, 6]]
