"""The plan `boosting`: one member per round, on rows weighted by the errors of the members before."""

from functools import partial

import numpy as np

from data.dataset import Array
from data.splits.build import Division
from jobs.plans.boosting.conclusion import Judged, conclude
from jobs.plans.boosting.result import Ended
from jobs.plans.boosting.rules import Verdict, r2, row_weights, samme
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.ensembles import cannot_vote, votes_of
from jobs.plans.fits import Conclusion, FitRows, Plan, PlannedFit, Round
from jobs.plans.maker import FitMaker
from jobs.plans.results import is_classification


def plan(spec: BoostingPlanSpec, maker: FitMaker) -> Plan:
    """Ask for members one after another until the rule, or a member that did not finish, ends it."""
    [division] = maker.divisions()
    shares = np.full(len(division.train), 1 / len(division.train))
    judged: list[Judged] = []
    ended: Ended = "all_rounds"
    for i in range(1, spec.members + 1):
        member = _member(maker, division, i, shares)
        later = spec.members - i
        [result] = yield Round(fits=[member], later_fits=later, later_steps=later * member.steps_planned)
        outputs = votes_of(result)
        if outputs is None:
            if not judged:
                return cannot_vote([result])
            judged.append(Judged(member, result, None, is_kept=False))
            ended = "member_did_not_finish"
            break
        verdict = _judge(spec, maker, division.train, shares, outputs[: len(division.train)])
        judged.append(Judged(member, result, verdict, is_kept=verdict.alpha is not None or not judged))
        if verdict.shares is None:
            ended = "no_error" if verdict.alpha is not None else "no_better_than_chance"
            break
        shares = verdict.shares
    return Conclusion(result=conclude(maker, division, judged, ended).model_dump(mode="json"))


def _member(maker: FitMaker, division: Division, number: int, shares: Array) -> PlannedFit:
    """Plan a member. The unweighted validation loss does not choose its epoch: it would prefer the untrained to those trained on hard rows."""
    rows = FitRows(
        train=division.train,
        val=division.val,
        test=division.test[:0],
        weights=row_weights(shares),
        asked=np.concatenate([division.train, division.val, division.test]),
    )
    return maker.fit(
        f"member {number}",
        partial(_same, rows),
        overrides={} if maker.spec.early_stopping is not None else {"/training/kept_weights": "last"},
        seed=maker.derived_seed("member", number),
        place={"member": number},
    )


def _same(rows: FitRows) -> FitRows:
    return rows


def _judge(spec: BoostingPlanSpec, maker: FitMaker, train: Array, shares: Array, outputs: Array) -> Verdict:
    """Judge a member by its answers on the training rows."""
    y = maker.dataset.y[train]
    if is_classification(maker.dataset):
        return samme(shares, outputs.argmax(axis=1) != y, len(np.unique(y)), spec.learning_rate)
    return r2(shares, np.abs(outputs[:, 0] - y), spec.learning_rate)
