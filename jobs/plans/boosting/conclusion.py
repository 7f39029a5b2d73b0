"""From judged members to what boosting concludes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data.dataset import Array
from data.splits.build import Division
from jobs.plans.boosting.result import BoostingResult, BoostingRound, Ended
from jobs.plans.boosting.rules import Verdict
from jobs.plans.ensembles import figures, intervals, main_figure, outputs_of
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.maker import FitMaker
from jobs.plans.results import Figures, Interval, ModelOf, fit_figures, is_classification, metric_words
from jobs.plans.votes import Vote, ballots, combined

_WHY = {
    "all_rounds": "all rounds were run",
    "no_error": "the last member made no error",
    "no_better_than_chance": "the last member was no better than chance",
    "member_did_not_finish": "the last member did not finish",
}


@dataclass(frozen=True, eq=False)
class Judged:
    """A member and what the rule says of it; no verdict on one that did not finish."""

    fit: PlannedFit
    result: FitResult
    verdict: Verdict | None
    is_kept: bool

    @property
    def alpha(self) -> float | None:
        """Give its vote: that of a first member no better than chance, which is kept alone, is 1."""
        if self.verdict is None or not self.is_kept:
            return None
        return 1.0 if self.verdict.alpha is None else self.verdict.alpha


def conclude(maker: FitMaker, division: Division, judged: Sequence[Judged], ended: Ended) -> BoostingResult:
    """Let the kept members vote; at least one is."""
    dataset = maker.dataset
    is_classes = is_classification(dataset)
    vote: Vote = "hard" if is_classes else "median"
    y = {part: dataset.y[rows] for part, rows in (("train", division.train), ("val", division.val), ("test", division.test))}
    ensemble = Ensemble(vote)
    rounds, answers = [], np.empty(0)
    for i, one in enumerate(judged, start=1):
        member = None if one.verdict is None else _parts(outputs_of(one.result), division)
        alone = {} if member is None else {part: figures(member[part], y[part], is_classes=is_classes) for part in ("train", "val")}
        together: dict[str, Figures | None] = {}
        if one.alpha is not None:
            answers = ensemble.add(outputs_of(one.result), one.alpha)
            so_far = _parts(answers, division)
            together = {part: figures(so_far[part], y[part], is_classes=is_classes, has_loss=not is_classes) for part in ("train", "val")}
        weights = one.fit.rows().weights
        assert weights is not None
        rounds.append(
            BoostingRound(
                round=i,
                fit=one.fit.number,
                error=None if one.verdict is None else one.verdict.error,
                alpha=one.alpha,
                largest_weight=float(weights.max()),
                effective_rows=float(weights.sum() ** 2 / (weights**2).sum()),
                member_train=alone.get("train"),
                member_val=alone.get("val"),
                train=together.get("train"),
                val=together.get("val"),
            )
        )
    final = _parts(answers, division)
    resamples = maker.spec.evaluation.resamples

    def measured(part: str) -> dict[str, Interval] | None:
        return intervals(final[part], y[part], resamples, maker.seed, part, is_classes=is_classes, has_loss=not is_classes)

    train, val = measured("train"), measured("val")
    assert train is not None
    kept = [one for one in judged if one.is_kept]
    return BoostingResult(
        sentence=_sentence(len(kept), rounds, ended, is_classes=is_classes),
        fits=[fit_figures(one.fit, one.result) for one in judged],
        model=ModelOf(
            fits=[one.fit.number for one in kept],
            vote=vote if len(kept) > 1 else None,
            weights=[one.alpha for one in kept if one.alpha is not None] if len(kept) > 1 else None,
        ),
        algorithm="SAMME" if is_classes else "AdaBoost.R2",
        num_classes=len(np.unique(y["train"])) if is_classes else None,
        ended=ended,
        rounds=rounds,
        train=train,
        val=val,
        test=measured("test"),
        test_rows=len(division.test),
    )


class Ensemble:
    """A vote that grows by one member at a time."""

    def __init__(self, vote: Vote) -> None:
        """Start without members."""
        self._vote = vote
        self._numbers: list[Array] = []
        self._alphas: list[float] = []
        self._sum: Array | float = 0.0

    def add(self, outputs: Array, alpha: float) -> Array:
        """Count a member's answers; give what all say together. Votes are summed, a median needs all numbers."""
        self._alphas.append(alpha)
        if self._vote == "hard":
            self._sum = self._sum + alpha * ballots(outputs, "hard")
            return self._sum / sum(self._alphas)
        self._numbers.append(outputs)
        return combined(np.stack(self._numbers), self._vote, self._alphas)


def _parts(outputs: Array, division: Division) -> dict[str, Array]:
    """Cut answers on training, validation and test rows, in this order, into those parts."""
    first = len(division.train)
    second = first + len(division.val)
    return {"train": outputs[:first], "val": outputs[first:second], "test": outputs[second:]}


def _sentence(kept: int, rounds: Sequence[BoostingRound], ended: Ended, *, is_classes: bool) -> str:
    voting = [one for one in rounds if one.train is not None]
    first, last = voting[0], voting[-1]
    name = metric_words("accuracy" if is_classes else "rmse")

    def moved(before: Figures | None, after: Figures | None) -> str:
        if before is None or after is None:
            return ""
        return f"from {main_figure(before, is_classes=is_classes):.4g} to {main_figure(after, is_classes=is_classes):.4g}"

    on_val = moved(first.val, last.val)
    told = f"training {name} went {moved(first.train, last.train)}" + (f", validation {name} {on_val}" if on_val else "")
    members = "1 member votes" if kept == 1 else f"{kept} members vote"
    return f"{members}, and {told}; {_WHY[ended]}."
