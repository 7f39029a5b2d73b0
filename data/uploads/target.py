"""Whether a target is classes or a number, and what of it is worth a warning."""

from collections.abc import Iterator, Sequence

from data.dataset import Task
from data.uploads.limits import UploadLimits
from data.uploads.problems import UploadProblem

_FEW_CLASSES = 20
_RARE = 10
_IMBALANCE = 20


def task_of(*, asked: Task | None, is_numeric: bool, all_whole: bool, distinct: int | None, rows: int) -> Task:
    """Tell the task: as asked, else classes for words and for a few whole numbers that repeat.

    Raises:
        UploadProblem: a regression of words was asked for.
    """
    if asked == "regression" and not is_numeric:
        raise UploadProblem("the target holds words: a regression needs numbers", code="target_not_numeric", pointer="/task")
    if asked is not None:
        return asked
    is_few = distinct is not None and distinct <= _FEW_CLASSES and distinct * 2 <= rows
    return "classification" if not is_numeric or (all_whole and is_few) else "regression"


def check_classes(num_classes: int | None, limits: UploadLimits) -> None:
    """Refuse a target of one class, or of too many.

    Raises:
        UploadProblem: as said.
    """
    if num_classes is None or num_classes > limits.max_classes:
        found = "more than can be counted" if num_classes is None else str(num_classes)
        message = f"the target has {found} different values, and classes are at most {limits.max_classes}: is it a regression, or an id?"
        raise UploadProblem(message, code="too_many_classes", pointer="/target")
    if num_classes < 2:
        raise UploadProblem("the target has one value only: classes are at least 2", code="single_class", pointer="/target")


def check_numbers(low: float, high: float) -> None:
    """Refuse a numeric target that is always the same.

    Raises:
        UploadProblem: as said.
    """
    if low == high:
        raise UploadProblem(
            "the target is the same number in every row: there is nothing to learn", code="constant_target", pointer="/target"
        )


def class_order(labels: Sequence[str]) -> list[int]:
    """Give the places of classes in order: whole numbers by size (2 before 10), other words by the alphabet."""
    are_numbers = all(label.isascii() and label.isdigit() and len(label) < 19 for label in labels)
    return sorted(range(len(labels)), key=lambda i: (int(labels[i]) if are_numbers else 0, labels[i]))


def class_warnings(labels: Sequence[str], counts: Sequence[int]) -> Iterator[str]:
    """Warn of rare classes and of imbalance."""
    rare = [f"{_short(label)} ({count})" for label, count in zip(labels, counts, strict=True) if count < _RARE]
    if rare:
        more = f" and {len(rare) - 5} more" if len(rare) > 5 else ""
        yield f"classes with fewer than {_RARE} rows: {', '.join(rare[:5])}{more}"
    if min(counts) * _IMBALANCE < max(counts):
        most, least = labels[list(counts).index(max(counts))], labels[list(counts).index(min(counts))]
        yield f"imbalance: {_short(most)} has {max(counts)} rows, {_short(least)} {min(counts)}; see class_weights, balanced_sampling and scores by class"


def _short(label: str) -> str:
    return label if len(label) <= 60 else f"{label[:59]}..."
