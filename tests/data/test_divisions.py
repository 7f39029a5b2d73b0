"""What holds for every split: divisions of some rows only, what is filled in, fields that matter, and summaries."""

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import sklearn.cluster
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from threadpoolctl import threadpool_info, threadpool_limits

from data.dataset import Array, Dataset
from data.splits import clusters
from data.splits.build import divisions, filled
from data.splits.division import Division, SplitProblem
from data.splits.grain import held_out_by, stratifies
from data.splits.spec import FoldBy, KFoldSpec, SplitSpec, TimeSeriesSpec
from data.splits.summary import division_summary
from tests.factories import a_dataset

COUNT = 60
SPLITS: tuple[dict[str, Any], ...] = (
    {"name": "holdout"},
    {"name": "holdout", "by": "rows"},
    {"name": "holdout", "by": "rows", "shuffle": False, "stratify": False},
    {"name": "holdout", "by": "group"},
    {"name": "predefined"},
    {"name": "predefined", "by": "rows"},
    *({"name": "k_fold", "by": by, "folds": 3} for by in get_args(FoldBy) if by != "each_group"),
    {"name": "k_fold", "by": "each_group"},
    {"name": "k_fold", "by": "random", "folds": 3, "shuffle": False},
    {"name": "k_fold", "folds": 2, "repeats": 2},
    {"name": "time_series", "folds": 3},
    {"name": "time_series", "folds": 2, "window": "sliding", "gap_rows": 1},
)
NAMES = [" ".join(str(value) for value in fields.values()) for fields in SPLITS]


def _spec(fields: dict[str, Any]) -> SplitSpec:
    spec: SplitSpec = TypeAdapter(SplitSpec).validate_python(fields)
    return spec


def _dataset(count: int = COUNT, **columns: Any) -> Dataset:
    rng = np.random.default_rng(1)
    given_columns = {"groups": np.arange(count) // 3, "times": rng.permutation(count) // 2, "parts": np.arange(count) % 6 // 5 * 2}
    return a_dataset(rng.normal(size=(count, 2)), np.arange(count) * 5 % 7 % 2, **{**given_columns, **columns})


def _divided(fields: dict[str, Any], dataset: Dataset, seed: int = 0, rows: Array | None = None) -> list[Division]:
    return divisions(_spec(fields), dataset, seed, rows, lambda chosen: dataset.x[chosen])


def _parts(found: list[Division]) -> list[list[list[int]]]:
    return [[part.tolist() for part in (one.train, one.val, one.test)] for one in found]


@pytest.mark.parametrize("fields", SPLITS, ids=NAMES)
def test_only_the_rows_given_are_divided_whatever_their_order(fields: dict[str, Any]) -> None:
    """B031: an inner split knows nothing of the rows that an outer one holds out."""
    dataset = _dataset()
    rows = np.random.default_rng(2).permutation(COUNT)[:45]
    found = _divided(fields, dataset, 0, rows)
    for one in found:
        together = np.concatenate([one.train, one.val, one.test])
        assert set(together) <= set(rows)
        assert len(set(together)) == len(together)
        assert len(one.train)
        assert len(one.val)
    assert _parts(_divided(fields, dataset, 0, np.sort(rows))) == _parts(found)
    if fields["name"] != "time_series":
        assert {len(set(one.train) | set(one.val) | set(one.test)) for one in found} == {45}


@pytest.mark.parametrize("fields", SPLITS, ids=NAMES)
def test_rows_that_are_not_given_change_nothing(fields: dict[str, Any]) -> None:
    """B031: their targets, features, groups and times may be anything."""
    dataset = _dataset()
    rows, others = np.arange(45), np.arange(45, COUNT)

    def changed(values: Array | None) -> Array:
        assert values is not None
        out = values.copy()
        out[others] = out[others[0]]
        return out

    other = replace(
        dataset, y=changed(dataset.y), groups=changed(dataset.groups), times=changed(dataset.times), read=lambda: changed(dataset.x)
    )
    assert _parts(_divided(fields, other, 0, rows)) == _parts(_divided(fields, dataset, 0, rows))


def test_fractions_are_of_the_rows_given() -> None:
    rows = np.arange(20, 40)
    [one] = _divided({"name": "holdout", "by": "rows"}, _dataset(), 0, rows)
    assert (len(one.train), len(one.val)) == (14, 6)
    [one] = _divided({"name": "holdout", "by": "group", "val_fraction": 0.5}, _dataset(groups=np.arange(COUNT) // 5), 0, rows)
    assert (len(one.train), len(one.val)) == (10, 10)
    assert [len(one.val) for one in _divided({"name": "time_series", "folds": 4}, _dataset(times=None), 0, rows)] == [4] * 4


@pytest.mark.parametrize("name", ["holdout", "k_fold", "time_series"])
def test_no_test_rows_are_set_aside_from_rows_that_were_given(name: str) -> None:
    """B031."""
    with pytest.raises(SplitProblem) as caught:
        _divided({"name": name, "test_fraction": 0.1}, _dataset(), 0, np.arange(40))
    assert (caught.value.pointer, caught.value.code) == ("/split/test_fraction", "does_not_apply")


def test_parts_of_the_datasets_own_that_hold_nothing_to_train_on_are_refused() -> None:
    parts = np.repeat([0, 1, 2], 20)
    with pytest.raises(SplitProblem) as caught:
        _divided({"name": "predefined"}, _dataset(parts=parts), 0, np.arange(20, 40))
    assert caught.value.code == "no_training_rows"
    [one] = _divided({"name": "predefined"}, _dataset(parts=parts), 0, np.arange(10, 50))
    assert [part.tolist() for part in (one.train, one.val, one.test)] == [[*range(10, 20)], [*range(20, 40)], [*range(40, 50)]]


@pytest.mark.parametrize("fields", SPLITS, ids=NAMES)
def test_what_is_filled_in_divides_alike_and_fills_in_to_itself(fields: dict[str, Any]) -> None:
    dataset = _dataset()
    spec = filled(_spec(fields), dataset)
    assert filled(spec, dataset) == spec
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
    assert _parts(_divided(spec.model_dump(), dataset)) == _parts(_divided(fields, dataset))


@pytest.mark.parametrize(
    ("fields", "groups", "task", "expected"),
    [
        ({}, None, "classification", ("stratified", 5, None)),
        ({}, None, "regression", ("random", 5, None)),
        ({}, range(COUNT), "classification", ("group", 5, None)),
        ({"shuffle": False}, range(COUNT), "classification", ("stratified", 5, None)),
        ({"folds": 4, "by": "cluster"}, None, "regression", ("cluster", 4, 12)),
        ({"by": "cluster", "clusters": 9}, None, "regression", ("cluster", 5, 9)),
        ({"by": "each_group"}, range(COUNT), "regression", ("each_group", None, None)),
    ],
)
def test_defaults_of_folds(fields: dict[str, Any], groups: Any, task: Any, expected: tuple[Any, ...]) -> None:
    spec = filled(_spec({"name": "k_fold", **fields}), a_dataset(np.zeros((COUNT, 1)), np.arange(COUNT) % 2, task=task, groups=groups))
    assert isinstance(spec, KFoldSpec)
    assert (spec.by, spec.folds, spec.clusters) == expected


@pytest.mark.parametrize(
    ("fields", "word", "keeps_shares"),
    [
        ({"name": "holdout"}, "time", False),
        ({"name": "holdout", "by": "rows"}, "rows", True),
        ({"name": "k_fold"}, "group", False),
        ({"name": "k_fold", "by": "random"}, "rows", False),
        ({"name": "k_fold", "by": "stratified"}, "rows", True),
        ({"name": "k_fold", "by": "stratified_group"}, "group", True),
        ({"name": "k_fold", "by": "each_group"}, "group", False),
        ({"name": "k_fold", "by": "cluster"}, "cluster", False),
        ({"name": "time_series"}, "time", False),
    ],
)
def test_what_is_held_out_has_a_word(fields: dict[str, Any], word: str, keeps_shares: bool) -> None:
    assert held_out_by(_spec(fields), _dataset()) == word
    assert stratifies(_spec(fields), _dataset()) is keeps_shares


CHANGES: dict[type, dict[str, tuple[dict[str, Any], dict[str, Any]]]] = {
    KFoldSpec: {
        "folds": ({}, {"folds": 4}),
        "by": ({"by": "random"}, {"by": "stratified"}),
        "repeats": ({}, {"repeats": 2}),
        "clusters": ({"by": "cluster", "clusters": 6}, {"by": "cluster", "clusters": 7}),
        "shuffle": ({"by": "random"}, {"by": "random", "shuffle": False}),
        "test_fraction": ({}, {"test_fraction": 0.1}),
    },
    TimeSeriesSpec: {
        "folds": ({}, {"folds": 4}),
        "window": ({}, {"window": "sliding"}),
        "window_rows": ({"window": "sliding"}, {"window": "sliding", "window_rows": 7}),
        "val_rows": ({}, {"val_rows": 3}),
        "gap_rows": ({}, {"gap_rows": 5}),
        "test_fraction": ({}, {"test_fraction": 0.1}),
    },
}


@pytest.mark.parametrize(("spec", "field"), [(spec, field) for spec, fields in CHANGES.items() for field in fields])
def test_every_field_changes_how_rows_are_divided(spec: type[KFoldSpec | TimeSeriesSpec], field: str) -> None:
    """B044."""
    name = get_args(spec.model_fields["name"].annotation)[0]
    first, second = (_parts(_divided({"name": name, **fields}, _dataset())) for fields in CHANGES[spec][field])
    assert first != second


@pytest.mark.parametrize("by", ["random", "stratified", "group", "stratified_group", "cluster"])
def test_the_seed_decides_what_is_drawn(by: str) -> None:
    first, again, other = (_parts(_divided({"name": "k_fold", "by": by}, _dataset(), seed)) for seed in (2**32 - 1, 2**32 - 1, 1))
    assert first == again
    assert first != other


def test_every_field_is_listed() -> None:
    for spec, fields in CHANGES.items():
        assert {*fields, "name"} == set(spec.model_fields)  # type: ignore[attr-defined]


def test_k_means_runs_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API and workers may have any number of them."""
    seen: list[int] = []

    class Watched(sklearn.cluster.KMeans):
        def fit_predict(self, *args: Any) -> Any:
            seen.extend(pool["num_threads"] for pool in threadpool_info())
            return super().fit_predict(*args)

    monkeypatch.setattr(clusters.cluster, "KMeans", Watched)
    with threadpool_limits(limits=2):
        _divided({"name": "k_fold", "by": "cluster"}, _dataset())
    assert set(seen) == {1}


def test_k_means_runs_on_one_thread_where_it_loads_scikit_learn() -> None:
    """Limits of threads act on what is loaded when they are set."""
    program = """
import sys
import numpy as np
from threadpoolctl import threadpool_info
from data import builtin
from data.splits import clusters
assert "sklearn.cluster" not in sys.modules
rows = np.arange(100)
x = np.random.default_rng(0).normal(size=(100, 4))
def profile(frame, event, _):
    if event == "call" and frame.f_code.co_name == "fit_predict":
        sys.setprofile(None)
        print(max(pool["num_threads"] for pool in threadpool_info()))
sys.setprofile(profile)
clusters.clusters_of(builtin.load("iris"), rows, 3, 0, lambda _: x)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1"]


def test_rows_too_wide_to_be_clustered_are_refused_before_they_are_read() -> None:
    """B107."""
    dataset = _dataset()
    wide = replace(dataset, info=replace(dataset.info, input_shape=(1_000_000,)))
    with pytest.raises(SplitProblem) as caught:
        divisions(_spec({"name": "k_fold", "by": "cluster"}), wide, 0, None, lambda rows: pytest.fail("they were read"))
    assert (caught.value.pointer, caught.value.code) == ("/split/by", "too_many_values")


def test_a_division_is_summed_up() -> None:
    y = np.repeat([0, 1, 2], [7, 3, 2])
    dataset = a_dataset(np.zeros((12, 1)), y)
    one = Division(train=np.array([3, 1, 7]), val=np.array([0, 10]), test=np.array([], dtype=np.int64), label="fold 2", place={"fold": 2})
    found = division_summary(dataset, one)
    assert (found.label, found.place) == ("fold 2", {"fold": 2})
    assert found.num_rows == {"train": 3, "val": 2, "test": 0}
    assert found.class_counts == {"train": (2, 1, 0), "val": (1, 0, 1), "test": (0, 0, 0)}
    assert len(found.row_hash) == 64
    assert division_summary(a_dataset(np.zeros((12, 1)), np.arange(12.0)), one).class_counts is None


@given(rows=st.permutations(range(12)), at=st.integers(1, 10), seed=st.randoms(use_true_random=False))
def test_equal_row_sets_of_equal_content_have_equal_hashes(rows: list[int], at: int, seed: Any) -> None:
    """Whatever the order within a part; rows that change sides, and content that changes, give another hash."""
    dataset, other = (a_dataset(np.zeros((12, 1)), np.arange(12.0) + shift) for shift in (0, 1))
    none = np.array([], dtype=np.int64)

    def hash_of(train: list[int], val: list[int], of: Dataset = dataset, *, as_test: bool = False) -> str:
        held = np.array(val, dtype=np.int64)
        return division_summary(of, Division(train=np.array(train), val=none if as_test else held, test=held if as_test else none)).row_hash

    train, val = rows[:at], rows[at:]
    found, shuffled = hash_of(train, val), list(train)
    seed.shuffle(shuffled)
    assert hash_of(shuffled, val[::-1]) == found
    assert len({found, hash_of(val, train), hash_of(train, val, other), hash_of(train, val[1:]), hash_of(train, val, as_test=True)}) == 5
