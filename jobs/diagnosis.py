"""What the curve of a finished fit says about it, with the rule and the numbers behind the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.states import FitStatus

Verdict = Literal["underfitting", "good_fit", "overfitting", "still_improving", "diverged"]

_LITTLE_BETTER = 0.1
"""Less than this share of the way from guessing to perfect, on the training rows, is underfitting."""
_RISEN = 1.1
"""A last validation loss of more than this times the best one has risen."""
_WIDE_GAP = 0.1
"""A gap of more than this share of the way from guessing to perfect is wide."""


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A verdict, the rule that led to it in words, and its numbers."""

    verdict: Verdict
    rule: str
    numbers: dict[str, float] = field(default_factory=dict)


def diagnose(
    *,
    status: FitStatus,
    best_epoch: int | None,
    last_epoch: int | None,
    best: Mapping[str, float] | None,
    last: Mapping[str, float] | None,
    evaluation: Mapping[str, Any] | None,
    guess_accuracy: float | None,
) -> Diagnosis | None:
    """Judge a fit by its curve at the best and last epochs, then by its kept weights; None while it runs, or without validation rows.

    `evaluation` holds the final figures of the kept weights. `guess_accuracy` is what always naming the largest class
    would reach (None for numbers, where guessing has R2 0). The first rule that holds decides.
    """
    if status is FitStatus.DIVERGED:
        return Diagnosis(verdict="diverged", rule="the objective, the gradient or an evaluated loss stopped being finite")
    if (
        status is not FitStatus.FINISHED
        or best is None
        or last is None
        or best_epoch is None
        or last_epoch is None
        or "val_loss" not in last
    ):
        return None
    return _judged(best_epoch == last_epoch, best, last, evaluation, guess_accuracy)


def _judged(
    is_last_best: bool,
    best: Mapping[str, float],
    last: Mapping[str, float],
    evaluation: Mapping[str, Any] | None,
    guess_accuracy: float | None,
) -> Diagnosis:
    # The best epoch may be 0 for a network that learned its training rows by heart: what it learned is seen at the end.
    learned = max(_learned(best, guess_accuracy), _learned(last, guess_accuracy))
    if learned < _LITTLE_BETTER:
        rule = f"on the training rows the network never came {_LITTLE_BETTER:.0%} of the way from guessing to perfect"
        return Diagnosis(verdict="underfitting", rule=rule, numbers={"learned": learned, "train_loss": last["train_loss"]})
    numbers = {
        "best_val_loss": best["val_loss"],
        "last_val_loss": last["val_loss"],
        "best_train_loss": best["train_loss"],
        "last_train_loss": last["train_loss"],
    }
    if last["val_loss"] > _RISEN * best["val_loss"] and last["train_loss"] < best["train_loss"]:
        rule = f"after the best epoch the training loss fell while the validation loss rose by more than {_RISEN - 1:.0%}"
        return Diagnosis(verdict="overfitting", rule=rule, numbers=numbers)
    wide = _wide_gap(evaluation, guess_accuracy)
    if wide is not None:
        rule = f"the kept weights do worse on validation rows by more than {_WIDE_GAP:.0%} of the way from guessing to perfect, and chance does not explain it"
        return Diagnosis(verdict="overfitting", rule=rule, numbers={**numbers, **wide})
    if is_last_best:
        return Diagnosis(verdict="still_improving", rule="the last epoch is the best one: more epochs may help", numbers=numbers)
    return Diagnosis(
        verdict="good_fit",
        rule="it learned, its gap is narrow, and its validation loss did not rise by much after the best epoch",
        numbers=numbers,
    )


def _learned(figures: Mapping[str, float], guess_accuracy: float | None) -> float:
    """Share of the way from guessing to perfect on the training rows."""
    if guess_accuracy is None:
        return figures["train_r2"]
    return (figures["train_accuracy"] - guess_accuracy) / (1 - guess_accuracy)


def _wide_gap(evaluation: Mapping[str, Any] | None, guess_accuracy: float | None) -> dict[str, float] | None:
    """Give the numbers of a wide gap of accuracy (or R2) whose 95 % interval leaves out 0; None if it is narrow or unsure."""
    metric = "r2" if guess_accuracy is None else "accuracy"
    gap = None if evaluation is None else evaluation.get(f"{metric}_gap")
    if gap is None or gap["low"] <= 0 or gap["value"] <= _WIDE_GAP * (1 - (guess_accuracy or 0.0)):
        return None
    return {f"{metric}_gap": gap["value"], f"{metric}_gap_low": gap["low"], f"{metric}_gap_high": gap["high"]}
