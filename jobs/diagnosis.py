"""What the curve of a finished fit says about it, with the rule and the numbers behind the verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jobs.states import FitStatus

Verdict = Literal["underfitting", "good_fit", "overfitting", "still_improving", "diverged"]

_LITTLE_BETTER = 0.1
"""Less than this share of the way from guessing to perfect, on the training rows, is underfitting."""
_RISEN = 1.1
"""A last validation loss of more than this times the best one has risen."""


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
    guess_accuracy: float | None,
) -> Diagnosis | None:
    """Judge a fit by its figures at the best and last epochs; None while it runs, or without validation rows.

    `guess_accuracy` is what always naming the largest class would reach (None for numbers, where guessing has R2 0).
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
    learned = _learned(best, guess_accuracy)
    if learned < _LITTLE_BETTER:
        rule = f"on the training rows the network is less than {_LITTLE_BETTER:.0%} of the way from guessing to perfect"
        return Diagnosis(verdict="underfitting", rule=rule, numbers={"learned": learned, "train_loss": best["train_loss"]})
    numbers = {
        "best_val_loss": best["val_loss"],
        "last_val_loss": last["val_loss"],
        "best_train_loss": best["train_loss"],
        "last_train_loss": last["train_loss"],
    }
    if last["val_loss"] > _RISEN * best["val_loss"] and last["train_loss"] < best["train_loss"]:
        rule = f"after the best epoch the training loss fell while the validation loss rose by more than {_RISEN - 1:.0%}"
        return Diagnosis(verdict="overfitting", rule=rule, numbers=numbers)
    if best_epoch == last_epoch:
        return Diagnosis(verdict="still_improving", rule="the last epoch is the best one: more epochs may help", numbers=numbers)
    return Diagnosis(
        verdict="good_fit", rule="it learned, and the validation loss did not rise by much after its best epoch", numbers=numbers
    )


def _learned(best: Mapping[str, float], guess_accuracy: float | None) -> float:
    """Share of the way from guessing to perfect on the training rows."""
    if guess_accuracy is None:
        return best["train_r2"]
    return (best["train_accuracy"] - guess_accuracy) / (1 - guess_accuracy)
