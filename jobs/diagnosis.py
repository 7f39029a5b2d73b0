"""What the curve of a finished fit says about it, with the rule and the numbers behind the verdict."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from jobs.states import FitStatus

Verdict = Literal["underfitting", "good_fit", "overfitting", "still_improving", "diverged"]

_LITTLE_BETTER = 0.1
"""Less than this share of the way from guessing to perfect, on the training rows, is underfitting."""
_RISEN = 1.1
"""A last validation loss of more than this times the best one has risen."""
_WIDE_GAP = 0.1
"""A gap of more than this share of the way from guessing to perfect is wide."""


_STILL_FALLING = 0.01
"""A validation loss that fell by more than this share over the last tenth of the epochs is still falling."""

_WHY: Mapping[Verdict, str] = MappingProxyType(
    {
        "diverged": "A step larger than the loss surface is smooth throws the weights further each time.",
        "underfitting": "The network cannot express the rule behind the rows, or has not been trained enough to: bias dominates.",
        "overfitting": "The network learns what is peculiar to its training rows: variance dominates.",
        "still_improving": "Training ended before the validation loss did; its best epoch is near the end.",
        "good_fit": "What was learned on the training rows holds on rows that were not seen.",
    }
)
_REGULARIZE = "raise network.dropout or regularization.l2, add regularization.augmentations, or train on more rows."
_ADVICE: Mapping[Verdict, str] = MappingProxyType(
    {
        "diverged": "Lower optimizer.learning_rate (try a tenth), or set training.gradient_clip_norm or schedule.warmup_epochs.",
        "underfitting": "Enlarge network.hidden_units (or add blocks), raise optimizer.learning_rate or training.max_epochs, or weaken regularization.",
        "overfitting": f"Set early_stopping, {_REGULARIZE}",
        "still_improving": "Raise training.max_epochs, or optimizer.learning_rate.",
        "good_fit": "Keep it; split.test_fraction gives a last figure on rows that drove no choice.",
    }
)


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A verdict (a stable code), the rule that led to it in words, and its numbers."""

    verdict: Verdict
    rule: str
    numbers: dict[str, float] = field(default_factory=dict)
    stopped_early: bool = False

    @property
    def why(self) -> str:
        """Say what is behind such a verdict."""
        return _WHY[self.verdict]

    @property
    def advice(self) -> str:
        """Name the knob to turn; not one that is turned already."""
        return _REGULARIZE[0].upper() + _REGULARIZE[1:] if self.verdict == "overfitting" and self.stopped_early else _ADVICE[self.verdict]


def diagnose(
    *,
    status: FitStatus,
    best_epoch: int | None,
    last_epoch: int | None,
    best: Mapping[str, float] | None,
    last: Mapping[str, float] | None,
    evaluation: Mapping[str, Any] | None,
    guess_accuracy: float | None,
    earlier: Mapping[str, float] | None = None,
    stopped_early: bool = False,
) -> Diagnosis | None:
    """Judge a fit by its curve at the best and last epochs, then by its kept weights; None while it runs, or without validation rows.

    `earlier` are the curve's figures a tenth of the epochs (at least one) before the last: what slopes are measured from.
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
    found = _never_improved(best, last) if best_epoch == 0 < last_epoch else None
    found = _judged(found, _is_still_falling(best_epoch, last_epoch, earlier, last), best, last, evaluation, guess_accuracy)
    numbers = {**found.numbers, "epochs_past_best": last_epoch - best_epoch, **_relative(last, earlier, evaluation)}
    return replace(found, numbers=numbers, stopped_early=stopped_early)


def window(last_epoch: int) -> int:
    """Give the epochs that the end of a curve is judged by: a tenth of all, at least one."""
    return max(1, last_epoch // 10)


def _is_still_falling(best_epoch: int, last_epoch: int, earlier: Mapping[str, float] | None, last: Mapping[str, float]) -> bool:
    if last_epoch - best_epoch >= window(last_epoch) and best_epoch != last_epoch:
        return False
    if earlier is None or "val_loss" not in earlier:
        return best_epoch == last_epoch
    return last["val_loss"] < (1 - _STILL_FALLING) * earlier["val_loss"]


def _relative(last: Mapping[str, float], earlier: Mapping[str, float] | None, evaluation: Mapping[str, Any] | None) -> dict[str, float]:
    """Give slopes over the last tenth, and how far the kept weights came from knowing nothing (class shares, or the mean)."""
    numbers = {"last_gap_relative_to_loss": (last["val_loss"] - last["train_loss"]) / last["val_loss"]} if last["val_loss"] > 0 else {}
    if earlier is not None and "val_loss" in earlier:
        numbers |= {f"{split}_loss_change": last[f"{split}_loss"] - earlier[f"{split}_loss"] for split in ("train", "val")}
    kept = None if evaluation is None else evaluation.get("val")
    if kept is not None and kept.get("baseline_loss"):
        numbers["share_of_baseline_loss"] = kept["loss"]["value"] / kept["baseline_loss"]
    return {name: number for name, number in numbers.items() if math.isfinite(number)}  # a ratio to almost nothing can overflow


def _never_improved(first: Mapping[str, float], last: Mapping[str, float]) -> Diagnosis:
    """Judge a fit whose validation loss was never below that of the network before any update."""
    numbers = {
        f"{when}_{split}_loss": figures[f"{split}_loss"]
        for when, figures in (("first", first), ("last", last))
        for split in ("train", "val")
    }
    if last["train_loss"] < first["train_loss"]:
        rule = "the training loss fell, and the validation loss was never lower than before the first update"
        return Diagnosis(verdict="overfitting", rule=rule, numbers=numbers)
    rule = "neither loss came below where it was before the first update; the steps may be too large"
    return Diagnosis(verdict="underfitting", rule=rule, numbers=numbers)


def _judged(
    never_improved: Diagnosis | None,
    is_still_falling: bool,
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
    if never_improved is not None:
        return never_improved
    metric = "R²" if guess_accuracy is None else "accuracy"
    wide = _wide_gap(evaluation, guess_accuracy)
    if wide is not None:
        rule = f"the {metric} of the kept weights is worse on validation rows by more than {_WIDE_GAP:.0%} of the way from guessing to perfect, and chance does not explain it"
        return Diagnosis(verdict="overfitting", rule=rule, numbers={**numbers, **wide})
    if is_still_falling:
        rule = f"the best epoch is within the last tenth, over which the validation loss fell by more than {_STILL_FALLING:.0%}"
        return Diagnosis(verdict="still_improving", rule=rule, numbers=numbers)
    loss_gap = (evaluation or {}).get("generalization_gap")
    rule = f"it learned, its gap of {metric} is narrow, and its validation loss did not rise by much after the best epoch"
    if loss_gap is not None and loss_gap["low"] > 0:
        rule += "; its loss is higher on validation rows, and chance does not explain that"
    return Diagnosis(verdict="good_fit", rule=rule, numbers=numbers)


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
