"""From members' answers to what bagging concludes. Answers are read one member at a time: all of them may not fit in memory."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from data.dataset import Array, Dataset
from data.splits.build import Division
from jobs.plans.bagging.result import BaggingResult, EnsembleCurvePoint, EnsembleStanding, OutOfBagVote
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.ensembles import figures, gain, intervals, main_figure, mean_figures, votes_of
from jobs.plans.fits import FitResult, PlannedFit
from jobs.plans.maker import FitMaker
from jobs.plans.results import Figures, Interval, ModelOf, fit_figures, is_classification, metric_words, row_figures
from jobs.plans.votes import ballots

Vote = Literal["soft", "hard", "mean"]


class Poll:
    """Votes on rows with targets `y` [n], member after member."""

    def __init__(self, dataset: Dataset, y: Array, vote: Vote) -> None:
        """Start without a vote."""
        self.y = y
        self.is_classes = is_classification(dataset)
        self.vote = vote
        self.members: list[Figures | None] = []
        self.curve: list[Figures | None] = []
        self._sum = np.zeros((len(y), dataset.info.num_outputs))
        self._named = np.zeros((len(y), dataset.info.num_outputs))
        self._losses = np.zeros(len(y))

    @property
    def has_loss(self) -> bool:
        """Tell whether the vote gives a loss: a count of votes does not."""
        return self.vote != "hard"

    @property
    def answer(self) -> Array:
        """Give what the members so far say together, [n, K] or [n, 1]."""
        return self._sum / max(1, len(self.members))

    @property
    def mean_losses(self) -> Array:
        """Give each row's loss [n], averaged over members."""
        return self._losses / max(1, len(self.members))

    def add(self, outputs: Array) -> None:
        """Count a member's answers [n, K] or [n, 1]."""
        if len(self.y):
            self._losses += row_figures(outputs, self.y, is_classes=self.is_classes).loss
        self._sum += ballots(outputs, self.vote)
        if self.is_classes:
            self._named += ballots(outputs, "hard")
        self.members.append(figures(outputs, self.y, is_classes=self.is_classes))
        self.curve.append(self._figures())

    def disagreement(self) -> float | None:
        """Give the share of rows on which two members differ, over all pairs.

        Of numbers the ambiguity: the mean squared distance of members from their mean (Krogh & Vedelsby 1995).
        """
        count = len(self.members)
        if count < 2 or len(self.y) == 0:
            return None
        if self.is_classes:
            alike = (self._named * (self._named - 1)).sum(axis=1) / (count * (count - 1))
            return float((1 - alike).mean())
        ensemble = row_figures(self.answer, self.y, is_classes=False).loss
        return max(0.0, float((self.mean_losses - ensemble).mean()))

    def _figures(self) -> Figures | None:
        return figures(self.answer, self.y, is_classes=self.is_classes, has_loss=self.has_loss)


def conclude(
    spec: BaggingPlanSpec, maker: FitMaker, division: Division, planned: Sequence[PlannedFit], results: Sequence[FitResult]
) -> BaggingResult | None:
    """Let the members that finished vote; None if none can."""
    dataset, resamples = maker.dataset, maker.spec.evaluation.resamples
    is_classes = is_classification(dataset)
    vote: Vote = (spec.vote or "soft") if is_classes else "mean"
    voting: list[PlannedFit] = []
    polls = {"val": Poll(dataset, dataset.y[division.val], vote), "test": Poll(dataset, dataset.y[division.test], vote)}
    bag = Bag(division.train, dataset, vote)
    for fit, result in zip(planned, results, strict=True):
        outputs = votes_of(result)
        if outputs is None:
            continue
        voting.append(fit)
        cut = bag.add(outputs, fit.rows().train)
        polls["val"].add(outputs[cut : cut + len(division.val)])
        polls["test"].add(outputs[cut + len(division.val) :])
    if not voting:
        return None

    def measured(part: Literal["val", "test"]) -> dict[str, Interval] | None:
        poll = polls[part]
        return intervals(poll.answer, poll.y, resamples, maker.seed, part, is_classes=is_classes, has_loss=poll.has_loss)

    def gained(part: Literal["val", "test"]) -> Interval | None:
        poll = polls[part]
        if len(poll.y) == 0 or not poll.has_loss:
            return None
        return gain(poll.mean_losses, row_figures(poll.answer, poll.y, is_classes=is_classes), resamples, maker.seed, part)

    val, test, score = measured("val"), measured("test"), bag.score(resamples, maker.seed)
    mean_member = {part: mean_figures(poll.members) for part, poll in polls.items()}
    shown = "val" if val is not None else "test"
    return BaggingResult(
        sentence=_sentence(len(voting), val or test, mean_member[shown], score, is_classes=is_classes, part=shown, spec=spec),
        fits=[fit_figures(fit, result) for fit, result in zip(planned, results, strict=True)],
        model=ModelOf(fits=[fit.number for fit in voting], vote=vote if len(voting) > 1 else None),
        vote=vote,
        left_out=[fit.number for fit in planned if fit not in voting],
        val=val,
        test=test,
        test_rows=len(division.test),
        mean_member={"val": mean_member["val"], "test": mean_member["test"]},
        loss_gain={"val": gained("val"), "test": gained("test")},
        disagreement=polls[shown].disagreement(),
        out_of_bag=score if spec.bootstrap else None,
        not_drawn=None if spec.bootstrap else score,
        standings=[
            EnsembleStanding(label="ensemble", fit=None, val=_values(val), test=_values(test)),
            *(
                EnsembleStanding(label=fit.label, fit=fit.number, val=polls["val"].members[i], test=polls["test"].members[i])
                for i, fit in enumerate(voting)
            ),
        ],
        curve=[EnsembleCurvePoint(members=i, val=point) for i, point in enumerate(polls["val"].curve, start=1) if point is not None],
    )


class Bag:
    """Votes of members on the training rows that they did not draw."""

    def __init__(self, train: Array, dataset: Dataset, vote: Vote) -> None:
        """Start without a vote."""
        self._rows = np.unique(train)
        self._dataset = dataset
        self._vote = vote
        self._sum = np.zeros((len(self._rows), dataset.info.num_outputs))
        self._votes = np.zeros(len(self._rows), dtype=np.int64)

    def add(self, outputs: Array, drawn: Array) -> int:
        """Count a member's answers: those on the rows not in `drawn` come first. Give how many these are."""
        is_out = ~np.isin(self._rows, drawn)
        count = int(is_out.sum())
        self._sum[is_out] += ballots(outputs[:count], self._vote)
        self._votes[is_out] += 1
        return count

    def score(self, resamples: int, seed: int) -> OutOfBagVote:
        """Measure the rows that have a vote."""
        has_vote = self._votes > 0
        answer = self._sum[has_vote] / self._votes[has_vote, None]
        y = self._dataset.y[self._rows[has_vote]]
        found = intervals(
            answer, y, resamples, seed, "out_of_bag", is_classes=is_classification(self._dataset), has_loss=self._vote != "hard"
        )
        return OutOfBagVote(rows=len(y), coverage=len(y) / len(self._rows), figures=found)


def _values(found: dict[str, Interval] | None) -> Figures | None:
    return None if found is None else {name: one.value for name, one in found.items()}


def _sentence(
    count: int,
    ensemble: dict[str, Interval] | None,
    mean_member: Figures | None,
    score: OutOfBagVote,
    *,
    is_classes: bool,
    part: str,
    spec: BaggingPlanSpec,
) -> str:
    name = "accuracy" if is_classes else "rmse"
    words, said = metric_words(name), []
    if ensemble is not None and mean_member is not None:
        rows = "validation" if part == "val" else "test"
        said.append(
            f"has {words} {ensemble[name].value:.4g} on the {rows} rows, the mean member {main_figure(mean_member, is_classes=is_classes):.4g}"
        )
    if score.figures is not None:
        where = "out of the bag" if spec.bootstrap else "on the training rows that members did not draw"
        said.append(
            f"{where} its {words} is {score.figures[name].value:.4g}" if said else f"has {words} {score.figures[name].value:.4g} {where}"
        )
    told = "; ".join(said) or "was not measured: no rows were held out, and every member drew every row"
    return f"The vote of {count} of {spec.members} members {told}."
