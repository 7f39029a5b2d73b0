"""Whether columns are fit for what is asked of them: each problem and each warning once."""

from typing import Any

import numpy as np
import pytest

from data.dataset import Column, Dataset
from jobs.fitness import data_problems
from jobs.limits import Limits
from jobs.problems import SpecProblems
from jobs.resolve import Resolved, resolve
from jobs.spec import JobSpec
from tests.factories import Source, a_dataset

WORDS = Column(name="color", kind="category", categories=("blue", "red"))
NUMBER = Column(name="height")
COUNT = 20


def _table(*, gaps: tuple[int, ...] = (), y: Any = None, **columns: Any) -> Dataset:
    """Hold a number, which is missing in rows `gaps`, and a word."""
    x = np.column_stack([np.arange(COUNT, dtype=np.float64), np.arange(COUNT) % 2])
    x[list(gaps), 0] = np.nan
    return a_dataset(x, np.arange(COUNT) % 2 if y is None else y, columns=(NUMBER, WORDS), **columns)


def _numbers(gaps: tuple[tuple[int, ...], ...]) -> Dataset:
    """Hold as many numbers as there are lists of rows in which they are missing."""
    x = np.random.default_rng(0).normal(size=(COUNT, len(gaps)))
    for i, rows in enumerate(gaps):
        x[list(rows), i] = np.nan
    return a_dataset(x, np.arange(COUNT) % 2, columns=tuple(Column(name=f"length {i}") for i in range(len(gaps))))


IMAGES = a_dataset(np.zeros((COUNT, 1, 4, 6)), np.arange(COUNT) % 2)
SIGNALS = a_dataset(np.zeros((COUNT, 1, 8)), np.arange(COUNT) % 2)
NUMBERS = a_dataset(np.arange(COUNT * 2.0).reshape(COUNT, 2), np.arange(COUNT) % 2)
FILE_ORDER = {"name": "holdout", "by": "rows", "shuffle": False}


def _resolved(dataset: Dataset, **fields: Any) -> Resolved:
    return resolve(JobSpec.model_validate({"dataset": dataset.info.id, "seed": 0, **fields}), source=Source(dataset))


def _refused(dataset: Dataset, **fields: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(SpecProblems) as caught:
        _resolved(dataset, **fields)
    return [(problem.pointer, problem.code, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("dataset", "fields", "pointer", "code", "says"),
    [
        (NUMBERS, {"target": "none"}, "/preprocessing/target", "no_effect", "never standardised"),
        (SIGNALS, {"resize": [4, 4]}, "/preprocessing/resize", "does_not_apply", "holds rows of kind signal"),
        (IMAGES, {"resize": [4, 6]}, "/preprocessing/resize", "no_effect", "of size [4, 6] already"),
        (IMAGES, {"missing": "median"}, "/preprocessing/missing", "does_not_apply", "holds rows of kind image"),
        (NUMBERS, {"categories": "ordinal"}, "/preprocessing/categories", "no_effect", "has no column of words"),
        (_table(gaps=(3, 5)), {}, "/preprocessing/missing", "missing_values", "column height lacks 2 values (the first in row 4): choose"),
        (
            _numbers(gaps=((3,), (5, 6))),
            {},
            "/preprocessing/missing",
            "missing_values",
            "lacks 1 value (the first in row 4), and 1 more column lacks some:",
        ),
        (_numbers(gaps=((3,), (5,), (6,))), {}, "/preprocessing/missing", "missing_values", ", and 2 more columns lack some:"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_preparation_that_a_dataset_lacks_or_has_no_use_for_is_refused(
    dataset: Dataset, fields: dict[str, Any], pointer: str, code: str, says: str
) -> None:
    """B021, B044."""
    [(found_pointer, found_code, message)] = _refused(dataset, preprocessing=fields)
    assert (found_pointer, found_code) == (pointer, code)
    assert says in message


def test_what_fits_is_no_problem() -> None:
    for dataset, fields in (
        (_table(), {"categories": "ordinal"}),
        (_table(gaps=(3, 5)), {"missing": "indicator"}),
        (IMAGES, {"resize": [6, 4]}),
    ):
        spec = JobSpec.model_validate({"dataset": "small", "seed": 0, "preprocessing": fields})
        assert list(data_problems(spec, dataset.info)) == []
        assert _resolved(dataset, preprocessing=fields).spec.preprocessing == spec.preprocessing


def test_a_column_without_any_training_value_is_refused() -> None:
    """B021: found at submit, not by a worker."""
    dataset = _table(gaps=tuple(range(14)))
    [(pointer, code, message)] = _refused(dataset, split=FILE_ORDER, preprocessing={"missing": "median"})
    assert (pointer, code) == ("/preprocessing/missing", "empty_column")
    assert "column height has no value in any training row" in message


def test_the_network_is_built_for_the_prepared_row() -> None:
    """One number with its indicator, two words and the bucket of unknown ones: 5 inputs."""
    resolved = _resolved(
        _table(gaps=tuple(range(10))), preprocessing={"missing": "indicator"}, network={"name": "mlp", "hidden_units": [7]}
    )
    assert resolved.num_parameters == 7 * 5 + 7 + 2 * 7 + 2
    assert resolved.fits[0].num_parameters == resolved.num_parameters


def test_training_rows_of_one_class_are_refused() -> None:
    """B111: whichever split left them so."""
    y = np.array([0] * 14 + [1] * 6)
    for columns, split in (
        ({}, FILE_ORDER),
        ({"times": np.arange(COUNT)}, {"name": "holdout"}),
        ({"parts": np.array([0] * 14 + [2] * 6)}, {"name": "predefined"}),
    ):
        [(pointer, code, message)] = _refused(_table(y=y, **columns), split=split)
        assert (pointer, code) == ("/split", "single_class")
        assert "at least 2" in message


def test_a_dataset_of_one_class_is_refused() -> None:
    """B111."""
    codes = [code for _, code, _ in _refused(_table(y=np.zeros(COUNT, dtype=np.int64)))]
    assert codes == ["single_class"]


def test_training_rows_of_two_classes_of_three_are_trained_on_with_a_warning() -> None:
    """B070: the absent class weighs nothing, and that is said."""
    dataset = _table(y=np.array([0] * 8 + [1] * 6 + [2] * 6))
    resolved = _resolved(dataset, split=FILE_ORDER, regularization={"class_weights": "balanced"})
    [warning] = [one for one in resolved.warnings if "batch_size" not in one]
    assert "class class 2 has no training row" in warning


@pytest.mark.parametrize(
    ("dataset", "fields", "says"),
    [
        (_table(), {"preprocessing": {"missing": "median"}}, "no value is missing in small"),
        (_table(groups=np.arange(COUNT) // 4), {"split": {"name": "holdout", "by": "rows"}}, "rows of one group may be on both sides"),
        (_table(times=np.arange(COUNT)), {"split": {"name": "holdout", "by": "rows"}}, "rows are not held out by time"),
        (
            _table(),
            {"split": {"name": "holdout", "val_fraction": 1 / COUNT, "stratify": False}},
            "there is a single validation row: its figures say nothing",
        ),
        (_table(), {"split": {"name": "holdout", "test_fraction": 1 / COUNT, "stratify": False}}, "there is a single test row"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_should_not_come_as_a_surprise_is_said(dataset: Dataset, fields: dict[str, Any], says: str) -> None:
    [warning] = [one for one in _resolved(dataset, **fields).warnings if "batch_size" not in one]
    assert says in warning


def test_what_is_held_out_is_echoed_and_the_echo_resolves_to_itself() -> None:
    for columns, by in (({}, "rows"), ({"groups": np.arange(COUNT) // 4}, "group"), ({"times": np.arange(COUNT)}, "time")):
        dataset = _table(**columns)
        resolved = _resolved(dataset)
        assert resolved.spec.split.by == by
        again = resolve(JobSpec.model_validate_json(resolved.spec.model_dump_json()), source=Source(dataset))
        assert (again.spec, again.fits) == (resolved.spec, resolved.fits)


def test_rows_that_would_not_fit_in_memory_are_refused() -> None:
    """B107: 150 rows of 4 columns are 600 numbers."""
    spec = JobSpec.model_validate({"dataset": "iris", "seed": 0})
    assert resolve(spec, Limits(max_prepared_values=600)).num_parameters > 0
    with pytest.raises(SpecProblems) as caught:
        resolve(spec, Limits(max_prepared_values=599))
    assert [(one.pointer, one.code) for one in caught.value.problems] == [("/dataset", "too_many_values")]


def _folds(**fields: Any) -> dict[str, Any]:
    return {"name": "k_fold", "folds": 3, **fields}


@pytest.mark.parametrize(
    ("dataset", "split", "says"),
    [
        (_table(groups=np.arange(COUNT) // 4), _folds(by="random"), ["rows of one group may be on both sides of the split: it is by rows"]),
        (
            _table(groups=np.arange(COUNT) // 4, y=np.arange(COUNT) // 2 % 2),
            _folds(by="cluster", clusters=5),
            ["rows of one group may be on both sides of the split: it is by cluster"],
        ),
        (_table(groups=np.arange(COUNT) // 4), _folds(by="each_group", folds=None), []),
        (_table(groups=np.arange(COUNT) // 4), _folds(by="stratified_group"), []),
        (_table(times=np.arange(COUNT)), _folds(), ["rows are not held out by time"]),
        (_table(times=np.arange(COUNT)), {"name": "time_series", "folds": 3}, []),
        (_table(), {"name": "time_series", "folds": 3}, ["small has no time column"]),
        (
            _table(y=np.array([0] * 10 + [1] * 9 + [2])),
            _folds(),
            [
                "classes with fewer rows than the 3 folds are absent from the validation rows of some: class 2 (1)",
                "class class 2 has no training row in fold",
            ],
        ),
    ],
)
def test_what_folds_should_not_surprise_with_is_said_once(dataset: Dataset, split: dict[str, Any], says: list[str]) -> None:
    """B034."""
    found = [one for one in _resolved(dataset, split=split).warnings if "batch_size" not in one]
    assert len(found) == len(says)
    assert all(beginning in warning for beginning, warning in zip(says, found, strict=True))


def test_rows_with_words_and_gaps_and_images_are_clustered() -> None:
    gaps = {"preprocessing": {"missing": "median"}}
    network = {"name": "mlp", "hidden_units": [4]}
    for dataset, fields in (
        (_table(gaps=(3, 5)), gaps),
        (a_dataset(np.random.default_rng(0).random((COUNT, 1, 4, 6)), np.arange(COUNT) % 2), {}),
    ):
        found = _resolved(dataset, split=_folds(by="cluster", clusters=6), network=network, **fields).divisions
        assert sorted(np.concatenate([one.val for one in found]).tolist()) == list(range(COUNT))


def test_rows_that_cannot_be_clustered_are_refused() -> None:
    """A column without any value has no median."""
    [(pointer, code, message)] = _refused(_table(gaps=tuple(range(COUNT))), split=_folds(by="cluster"), preprocessing={"missing": "median"})
    assert (pointer, code) == ("/split/by", "cannot_cluster")
    assert "column height has no value" in message


def test_folds_that_cannot_be_made_are_refused_at_submit() -> None:
    """B034, B035, B036."""
    grouped = _table(groups=np.arange(COUNT) // 10)
    assert _refused(grouped, split=_folds()) == [("/split/folds", "too_few_groups", "2 groups cannot make 3 folds")]
    [(pointer, code, _)] = _refused(_table(), split=_folds(folds=11))
    assert (pointer, code) == ("/split/folds", "classes_too_small")
    [(pointer, code, _)] = _refused(_table(), split={"name": "time_series", "folds": 5, "val_rows": 4})
    assert (pointer, code) == ("/split/val_rows", "no_training_rows")


def test_folds_have_validation_rows_to_follow() -> None:
    dataset = _table(times=np.arange(COUNT))
    for split in (_folds(), {"name": "time_series", "folds": 3}):
        resolved = _resolved(dataset, split=split, early_stopping={"patience": 1})
        assert resolved.spec.training.kept_weights == "best"
