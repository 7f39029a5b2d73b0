"""Rows prepared for one job serve others on the same rows."""

from typing import Any

from data.builtin import BUILTINS
from jobs.materialize import Materializer, PreparedRows
from tests.factories import a_resolved


def _prepared(before: PreparedRows, dataset: str = "iris", **fields: Any) -> Any:
    planned = a_resolved(dataset=dataset, **fields).fits[0]
    return Materializer(BUILTINS.load(dataset), before).materialize(planned).fit.data


def test_equal_rows_prepared_alike_are_prepared_once() -> None:
    before = PreparedRows(10**6)
    first = _prepared(before)
    assert _prepared(before, training={"max_epochs": 7}) is first
    assert _prepared(before, seed=5) is not first
    assert _prepared(before, preprocessing={"features": "min_max"}) is not first
    assert _prepared(before, training={"precision": "float64"}) is not first
    assert _prepared(before) is first


def test_rows_used_last_are_kept_up_to_a_size() -> None:
    size = 150 * (4 * 4 + 8)
    before = PreparedRows(4 * size)
    first, *_ = (_prepared(before, seed=seed) for seed in range(4))
    assert _prepared(before, seed=0) is first
    _prepared(before, seed=4)
    assert _prepared(before, seed=0) is first


def test_rows_that_would_fill_the_room_are_not_kept() -> None:
    before = PreparedRows(4 * 150 * (4 * 4 + 8) - 1)
    assert _prepared(before) is not _prepared(before)
