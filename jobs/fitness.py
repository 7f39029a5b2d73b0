"""Whether a dataset's columns are fit for what a spec does with them, and what its author should know of them."""

from collections.abc import Iterator, Sequence

import numpy as np

from data.counting import counted
from data.dataset import Dataset, DatasetInfo
from data.preprocessing.spec import PreprocessingSpec
from data.splits.division import Division
from data.splits.grain import held_out_by
from data.splits.remarks import listed, split_remarks
from jobs.problems import Problem
from jobs.spec import JobSpec


def data_problems(spec: JobSpec, info: DatasetInfo) -> Iterator[Problem]:
    """Find preparation that a dataset lacks or has no use for."""
    asked, columns = spec.preprocessing, info.columns or ()
    if info.task == "classification" and asked.target == "none":
        yield Problem("/preprocessing/target", "no_effect", "a class is never standardised: leave preprocessing.target out")
    if asked.resize is not None:
        if info.kind != "image":
            yield Problem("/preprocessing/resize", "does_not_apply", f"only images are resized; {info.id} holds rows of kind {info.kind}")
        elif asked.resize == info.input_shape[1:]:
            yield Problem("/preprocessing/resize", "no_effect", f"the images are of size {list(asked.resize)} already")
    if asked.missing != "reject" and info.kind != "table":
        yield Problem("/preprocessing/missing", "does_not_apply", f"only tables lack values; {info.id} holds rows of kind {info.kind}")
    if asked.categories != PreprocessingSpec().categories and not any(column.kind == "category" for column in columns):
        yield Problem("/preprocessing/categories", "no_effect", f"{info.id} has no column of words")
    incomplete = [column for column in columns if column.num_missing]
    if asked.missing == "reject" and incomplete:
        first = incomplete[0]
        others = f", and {counted(more, 'more column')} {'lacks' if more == 1 else 'lack'} some" if (more := len(incomplete) - 1) else ""
        message = f"column {first.name} lacks {counted(first.num_missing, 'value')} (the first in row {first.first_missing_row}){others}"
        yield Problem("/preprocessing/missing", "missing_values", f"{message}: choose median, most_frequent or indicator")


def missing_problems(dataset: Dataset, division: Division) -> Iterator[Problem]:
    """Refuse columns that have no value in any training row: nothing could stand for what is missing."""
    for i, column in enumerate(dataset.info.columns or ()):
        if column.num_missing and np.isnan(dataset.column(i)[division.train]).all():
            message = f"column {column.name} has no value in any training row: leave it out of the features"
            yield Problem("/preprocessing/missing", "empty_column", message)


def data_warnings(spec: JobSpec, dataset: Dataset, divisions: Sequence[Division]) -> Iterator[str]:
    """Say what is no error but should not come as a surprise. `spec` is resolved."""
    info, by = dataset.info, held_out_by(spec.split, dataset)
    if spec.preprocessing.missing != "reject" and not any(column.num_missing for column in info.columns or ()):
        yield f"no value is missing in {info.id}: preprocessing.missing acts on predictions only"
    if dataset.parts is not None and spec.split.name != "predefined":
        yield f"{info.id} is divided into {', '.join(info.predefined_rows or {})} already, and this split mixes them: name the split predefined"
    if dataset.groups is not None and by != "group":
        yield f"rows of one {info.group_name} may be on both sides of the split: it is by {by}"
    if dataset.times is not None and by != "time":
        yield f"rows are not held out by {info.time_name}: training rows may be later than those they are measured on"
    yield from split_remarks(spec.split, dataset, divisions)
    yield from _single_rows(divisions)
    if info.task == "classification":
        yield from _absent_classes(dataset, divisions)


def _single_rows(divisions: Sequence[Division]) -> Iterator[str]:
    for part in ("val", "test"):
        places = [one.label for one in divisions if len(getattr(one, part)) == 1]
        if places:
            where = "" if len(divisions) == 1 else f" in {listed(places)}"
            name = {"val": "validation", "test": "test"}[part]
            yield f"there is a single {name} row{where}: its figures say nothing of other rows, and their intervals have no width"


def _absent_classes(dataset: Dataset, divisions: Sequence[Division]) -> Iterator[str]:
    labels = dataset.info.class_labels or ()
    absent: list[list[str]] = [[] for _ in labels]
    for division in divisions:
        trained, *held_out = (np.bincount(dataset.y[rows], minlength=len(labels)) for rows in (division.train, division.val, division.test))
        for number in np.flatnonzero((trained == 0) & (sum(held_out) > 0)):
            absent[number].append(division.label)
    for label, places in zip(labels, absent, strict=True):
        where = "" if len(divisions) == 1 else f" in {listed(places)}"
        if places:
            yield f"class {label} has no training row{where}: it cannot be learned, and counts nothing in balanced class weights"
