"""Folds: sizes, class counts, groups, clusters, repeats, and what is refused."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import KFold

from data.dataset import Array, Dataset
from data.splits.build import divisions
from data.splits.division import Division, SplitProblem
from data.splits.remarks import split_remarks
from data.splits.spec import KFoldSpec
from tests.factories import a_dataset

SEEDS = st.integers(0, 2**32 - 1)
_TOO_FEW = {"too_few_groups", "no_training_rows"}
GROUPS = st.lists(st.integers(-3, 12), min_size=1, max_size=60)


def _spec(**fields: Any) -> KFoldSpec:
    return KFoldSpec.model_validate({"name": "k_fold", **fields})


def _classes(y: Any, groups: Any = None) -> Dataset:
    return a_dataset(np.zeros((len(y), 1)), np.asarray(y), groups=groups)


def _numbers(count: int, groups: Any = None) -> Dataset:
    return a_dataset(np.arange(float(count)).reshape(-1, 1), np.arange(float(count)), groups=groups)


def _blobs(sizes: tuple[int, ...], *, y: Any = None) -> Dataset:
    """Points around places that lie far apart."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(100 * i, 1, (size, 2)) for i, size in enumerate(sizes)])
    return a_dataset(x, np.arange(float(len(x))) if y is None else y)


def _features(dataset: Dataset) -> Any:
    return lambda rows: dataset.x[rows].astype(np.float64)


def _problem(spec: KFoldSpec, dataset: Dataset, seed: int = 0) -> tuple[str, str, str]:
    with pytest.raises(SplitProblem) as caught:
        divisions(spec, dataset, seed, None, _features(dataset))
    return caught.value.pointer, caught.value.code, str(caught.value)


def _hold(found: list[Division], num_rows: int, repeats: int = 1) -> None:
    """Every row is in one part of each fold, and validated once in each repeat unless it is a test row."""
    counts = np.zeros(num_rows, dtype=int)
    for one in found:
        assert sorted(np.concatenate([one.train, one.val, one.test]).tolist()) == list(range(num_rows))
        assert len(one.train)
        assert len(one.val)
        assert np.array_equal(one.test, found[0].test)
        counts[one.val] += 1
    expected = np.full(num_rows, repeats)
    expected[found[0].test] = 0
    assert counts.tolist() == expected.tolist()


@given(
    rows=st.integers(4, 90),
    folds=st.integers(2, 9),
    repeats=st.integers(1, 3),
    test=st.sampled_from([0, 0.1, 0.3]),
    shuffle=st.booleans(),
    seed=SEEDS,
)
def test_random_folds_validate_every_row_once_and_differ_by_one_row_at_most(
    rows: int, folds: int, repeats: int, test: float, shuffle: bool, seed: int
) -> None:
    repeats = repeats if shuffle else 1
    spec, dataset = _spec(by="random", folds=folds, repeats=repeats, test_fraction=test, shuffle=shuffle), _numbers(rows)
    num_test = 0 if test == 0 else max(1, int(np.floor(rows * test + 0.5 + 1e-9)))
    left = rows - num_test
    if left < folds:
        assert _problem(spec, dataset)[:2] == ("/split/folds", "too_few_rows")
        return
    if left == folds and repeats > 1:
        assert _problem(spec, dataset)[:2] == ("/split/repeats", "no_effect")
        return
    found = divisions(spec, dataset, seed)
    assert len(found) == folds * repeats
    assert len(found[0].test) == num_test
    _hold(found, rows, repeats)
    for start in range(0, len(found), folds):
        sizes = [len(one.val) for one in found[start : start + folds]]
        assert max(sizes) - min(sizes) <= 1


def test_ten_rows_in_three_folds_are_four_three_three() -> None:
    found = divisions(_spec(by="random", folds=3), _numbers(10), 7)
    assert [(len(one.train), len(one.val), len(one.test)) for one in found] == [(6, 4, 0), (7, 3, 0), (7, 3, 0)]


def test_a_single_repeat_is_what_scikit_learn_gives_for_the_seed() -> None:
    expected = KFold(4, shuffle=True, random_state=2**32 - 1).split(np.zeros(30))
    for one, (train, val) in zip(divisions(_spec(by="random", folds=4), _numbers(30), 2**32 - 1), expected, strict=True):
        assert np.array_equal(one.train, train)
        assert np.array_equal(one.val, val)


def test_file_order_cuts_consecutive_rows() -> None:
    found = divisions(_spec(by="random", folds=3, shuffle=False), _numbers(7), 5)
    assert [one.val.tolist() for one in found] == [[0, 1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["common first", "rare first"])
def test_stratified_folds_by_hand(order: slice) -> None:
    """B034: 7 and 3 rows in 3 folds are 3+1, 2+1, 2+1, whatever class comes first in the file."""
    y = np.repeat([0, 1], [7, 3])[order]
    found = divisions(_spec(by="stratified", folds=3), _classes(y), 0)
    assert [np.bincount(y[one.val]).tolist() for one in found] == [[3, 1], [2, 1], [2, 1]]
    assert [len(one.val) for one in found] == [4, 3, 3]
    _hold(found, 10)


def test_a_class_with_fewer_rows_than_folds_is_divided_with_a_warning() -> None:
    """B034."""
    dataset = _classes(np.repeat([0, 1], [7, 2]))
    spec = _spec(by="stratified", folds=3)
    found = divisions(spec, dataset, 0)
    assert sorted(len(one.val) for one in found) == [3, 3, 3]
    assert sorted(int(dataset.y[one.val].sum()) for one in found) == [0, 1, 1]
    [warning] = split_remarks(spec, dataset, found)
    assert warning == "classes with fewer rows than the 3 folds are absent from the validation rows of some: class 1 (2)"
    enough = _classes(np.repeat([0, 1], [7, 3]))
    assert list(split_remarks(spec, enough, divisions(spec, enough, 0))) == []


def test_classes_that_are_all_smaller_than_the_folds_are_refused() -> None:
    """B034: with both numbers."""
    for by, groups in (("stratified", None), ("stratified_group", range(9))):
        pointer, code, message = _problem(_spec(by=by, folds=4), _classes(np.repeat([0, 1, 2], 3), groups))
        assert (pointer, code) == ("/split/folds", "classes_too_small")
        assert "4 folds; the largest has 3" in message


@given(y=st.lists(st.integers(0, 4), min_size=4, max_size=70), folds=st.integers(2, 8), repeats=st.integers(1, 2), seed=SEEDS)
def test_stratified_folds_share_each_class_evenly(y: list[int], folds: int, repeats: int, seed: int) -> None:
    """B034: counts of a class in two folds differ by one at most, and so do sizes; no fold is empty."""
    dataset, spec = _classes(y), _spec(by="stratified", folds=folds, repeats=repeats)
    if max(Counter(y).values()) < folds or len(y) < folds:
        assert _problem(spec, dataset)[1] in {"classes_too_small", "too_few_rows"}
        return
    if len(y) == folds and repeats > 1:
        assert _problem(spec, dataset)[1] == "no_effect"
        return
    found = divisions(spec, dataset, seed)
    _hold(found, len(y), repeats)
    for start in range(0, len(found), folds):
        counts = np.array([np.bincount(dataset.y[one.val], minlength=5) for one in found[start : start + folds]])
        assert (counts.max(axis=0) - counts.min(axis=0) <= 1).all()
        assert counts.sum(axis=1).max() - counts.sum(axis=1).min() <= 1


def test_three_groups_of_two_rows_by_hand() -> None:
    """B035: a, a, b, b, c, c in 3 folds: each fold is one group; 4 folds are refused with both numbers."""
    dataset = _numbers(6, groups=[0, 0, 1, 1, 2, 2])
    found = divisions(_spec(by="group", folds=3), dataset, 0)
    assert sorted(one.val.tolist() for one in found) == [[0, 1], [2, 3], [4, 5]]
    for by in ("group", "stratified_group"):
        refused = _problem(_spec(by=by, folds=4), _classes([0, 1] * 3, groups=[0, 0, 1, 1, 2, 2]))
        assert refused == ("/split/folds", "too_few_groups", "3 groups cannot make 4 folds")


def _largest_class(spec: KFoldSpec, dataset: Dataset, seed: int) -> int:
    """Count it among the rows that are not set aside."""
    test = divisions(_spec(by="each_group", test_fraction=spec.test_fraction), dataset, seed)[0].test
    return int(np.bincount(np.delete(dataset.y, test)).max())


@given(
    groups=GROUPS,
    folds=st.integers(2, 7),
    repeats=st.integers(1, 2),
    test=st.sampled_from([0, 0.1, 0.3]),
    by=st.sampled_from(["group", "stratified_group", "each_group"]),
    seed=SEEDS,
)
def test_no_group_is_on_two_sides_and_every_row_is_validated_once(
    groups: list[int], folds: int, repeats: int, test: float, by: str, seed: int
) -> None:
    """B035: whatever the groups."""
    of_groups = np.array(groups)
    dataset = _classes(np.arange(len(groups)) * 7 % 3 % 2, groups)
    each = by == "each_group"
    spec = _spec(by=by, test_fraction=test) if each else _spec(by=by, test_fraction=test, folds=folds, repeats=repeats)
    num_groups = len(set(groups))
    left = num_groups - (0 if test == 0 else max(1, int(np.floor(num_groups * test + 0.5 + 1e-9))))
    too_few = left < 2 or (not each and left < folds)
    rare = by == "stratified_group" and too_few is False and _largest_class(spec, dataset, seed) < folds
    if too_few or rare or (not each and repeats > 1 and left == folds):
        assert _problem(spec, dataset, seed)[1] in (_TOO_FEW if too_few else {"classes_too_small"} if rare else {"no_effect"})
        return
    found = divisions(spec, dataset, seed)
    assert len(found) == (left if each else folds * repeats)
    _hold(found, len(groups), 1 if each else repeats)
    for one in found:
        sides = [set(of_groups[part].tolist()) for part in (one.train, one.val, one.test)]
        assert sum(len(side) for side in sides) == num_groups
        assert len(sides[1]) == 1 or not each


def test_stratified_groups_share_the_classes() -> None:
    """Of 4 groups of each class every fold of 4 gets one."""
    y = np.repeat([0, 1], 12)
    found = divisions(_spec(by="stratified_group", folds=4), _classes(y, groups=np.arange(24) // 3), 0)
    assert [np.bincount(y[one.val]).tolist() for one in found] == [[3, 3]] * 4


def test_what_is_left_open_follows_from_the_dataset() -> None:
    groups = [0, 0, 1, 1, 2, 2]
    assert sorted(one.val.tolist() for one in divisions(_spec(folds=3), _numbers(6, groups), 0)) == [[0, 1], [2, 3], [4, 5]]
    y = np.array([0, 1] * 10)
    assert [np.bincount(y[one.val]).tolist() for one in divisions(_spec(), _classes(y), 0)] == [[2, 2]] * 5
    assert [len(one.val) for one in divisions(_spec(), _numbers(12), 0)] == [3, 3, 2, 2, 2]


@pytest.mark.parametrize("by", ["group", "stratified_group", "each_group"])
def test_a_group_column_that_is_not_there_cannot_be_divided_by(by: str) -> None:
    """B035: it is never replaced by plain folds."""
    assert _problem(_spec(by=by), _classes([0, 1] * 10)) == ("/split/by", "no_group_column", "this dataset has no group column")


def test_clusters_stay_whole() -> None:
    sizes = (5, 9, 4, 7, 6, 8)
    dataset, blob = _blobs(sizes), np.repeat(np.arange(6), sizes)
    found = divisions(_spec(by="cluster", folds=3, clusters=6), dataset, 0, None, _features(dataset))
    _hold(found, len(blob))
    for one in found:
        assert len(set(blob[one.val])) == 2
        assert not set(blob[one.val]) & set(blob[one.train])


def test_clusters_are_the_same_whoever_asks_and_are_found_without_test_rows() -> None:
    dataset = _blobs((30, 30, 30, 30))
    asked: list[Array] = []

    def features(rows: Array) -> Array:
        asked.append(rows)
        return dataset.x[rows].astype(np.float64)

    spec = _spec(by="cluster", folds=2, clusters=7, repeats=3, test_fraction=0.1)
    first, again = (divisions(spec, dataset, 3, None, features) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        assert np.array_equal(one.val, other.val)
    assert len(asked) == 2
    assert sorted([*asked[0], *first[0].test]) == list(range(120))
    _hold(first, 120, 3)


def test_many_rows_are_clustered_in_batches() -> None:
    dataset = _blobs((2000, 2000, 2000))
    found = divisions(_spec(by="cluster", folds=3, clusters=3), dataset, 0, None, _features(dataset))
    assert sorted(int(one.val.min()) for one in found) == [0, 2000, 4000]
    assert [len(one.val) for one in found] == [2000] * 3


def test_rows_that_are_all_alike_make_no_clusters() -> None:
    dataset = a_dataset(np.repeat([[0.0], [9.0]], 10, axis=0), np.arange(20.0))
    pointer, code, message = _problem(_spec(by="cluster", folds=3, clusters=4), dataset)
    assert (pointer, code) == ("/split/folds", "too_few_clusters")
    assert "only 2 different clusters, which cannot make 3 folds" in message


def test_repeats_are_drawn_anew_and_named() -> None:
    found = divisions(_spec(by="random", folds=2, repeats=3), _numbers(20), 0)
    assert [one.label for one in found[1:4]] == ["repeat 1, fold 2", "repeat 2, fold 1", "repeat 2, fold 2"]
    assert [dict(one.place) for one in found[1:3]] == [{"fold": 2, "repeat": 1}, {"fold": 1, "repeat": 2}]
    assert len({tuple(one.val.tolist()) for one in found}) == 6
    single = divisions(_spec(by="random", folds=2), _numbers(20), 0)
    assert [(one.label, dict(one.place)) for one in single] == [("fold 1", {"fold": 1}), ("fold 2", {"fold": 2})]
    assert np.array_equal(single[0].val, found[0].val)


@pytest.mark.parametrize(
    ("fields", "pointer", "code", "says"),
    [
        ({"by": "random", "clusters": 5}, "clusters", "no_effect", "these folds are by random"),
        ({"clusters": 5}, "clusters", "no_effect", "these folds are by group"),
        ({"by": "each_group", "folds": 3}, "folds", "no_effect", "whatever folds says"),
        ({"by": "each_group", "repeats": 2}, "repeats", "no_effect", "each repeat would be the same"),
        ({"by": "each_group", "shuffle": False}, "shuffle", "no_effect", "each group is a fold"),
        ({"by": "group", "folds": 3, "shuffle": False}, "shuffle", "no_effect", "groups are drawn by the seed"),
        ({"by": "stratified_group", "folds": 3, "shuffle": False}, "shuffle", "no_effect", "groups are drawn by the seed"),
        ({"by": "cluster", "folds": 3, "shuffle": False}, "shuffle", "no_effect", "clusters are drawn by the seed"),
        ({"by": "random", "folds": 3, "shuffle": False, "repeats": 2}, "repeats", "no_effect", "rows in file order"),
        ({"by": "random", "folds": 12, "repeats": 2}, "repeats", "no_effect", "12 rows make 12 folds in one way only"),
        ({"by": "group", "folds": 4, "repeats": 2}, "repeats", "no_effect", "4 groups make 4 folds in one way only"),
        ({"by": "cluster", "folds": 3, "clusters": 3, "repeats": 2}, "repeats", "no_effect", "3 clusters make 3 folds in one way only"),
        ({"by": "cluster", "folds": 4, "clusters": 3}, "clusters", "too_few_clusters", "3 clusters cannot make 4 folds"),
        ({"by": "cluster", "folds": 5}, "clusters", "too_few_rows", "12 rows cannot make 15 clusters"),
        ({"by": "random", "folds": 13}, "folds", "too_few_rows", "12 rows cannot make 13 folds"),
        ({"by": "random", "folds": 5, "test_fraction": 0.9}, "folds", "too_few_rows", "1 row cannot make 5 folds"),
        ({"by": "group", "folds": 2, "test_fraction": 0.9}, "test_fraction", "no_training_rows", "holding out 4 groups leaves none of 4"),
        ({"by": "stratified", "folds": 2}, "by", "does_not_apply", "only classes can be stratified"),
        ({"by": "stratified_group", "folds": 2}, "by", "does_not_apply", "only classes can be stratified"),
    ],
)
def test_folds_that_cannot_be_made_and_fields_that_change_nothing_are_refused(
    fields: dict[str, Any], pointer: str, code: str, says: str
) -> None:
    """B044."""
    dataset = a_dataset(np.arange(24.0).reshape(12, 2) ** 2, np.arange(12.0), groups=np.arange(12) // 3)
    found_pointer, found_code, message = _problem(_spec(**fields), dataset)
    assert (found_pointer, found_code) == (f"/split/{pointer}", code)
    assert says in message


def test_a_single_group_is_no_fold() -> None:
    assert _problem(_spec(by="each_group"), _numbers(6, [1] * 6))[:2] == ("/split/by", "too_few_groups")


def test_a_class_with_one_row_is_not_stratified_into_test_rows() -> None:
    """B034: the same rule as hold-out, and advice that this split can follow."""
    y = np.array([0] * 11 + [1])
    pointer, code, message = _problem(_spec(by="stratified", folds=2, test_fraction=0.3), _classes(y))
    assert (pointer, code) == ("/split/test_fraction", "class_too_small")
    assert message.endswith("set by to random")
    assert len(divisions(_spec(by="stratified", folds=2), _classes(y), 0)) == 2


def test_folds_that_would_not_fit_in_memory_are_refused() -> None:
    """B107: 2000 folds of 30 000 rows are 60 million row numbers."""
    pointer, code, message = _problem(_spec(by="random", folds=100, repeats=20), _numbers(30_000))
    assert (pointer, code) == ("/split/folds", "too_many_folds")
    assert "60000000 row numbers" in message
    groups = _problem(_spec(by="each_group"), _numbers(10_000, np.arange(10_000)))
    assert groups[:2] == ("/split/by", "too_many_folds")


def test_more_groups_than_can_be_weighed_are_refused() -> None:
    dataset = _classes(np.arange(2000) % 2, groups=np.arange(2000))
    assert _problem(_spec(by="stratified_group", folds=6, repeats=20), dataset)[:2] == ("/split/by", "too_many_groups")
