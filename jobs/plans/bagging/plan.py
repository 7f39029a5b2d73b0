"""The plan `bagging`: one round of members on draws of the training rows."""

from decimal import ROUND_HALF_UP, Decimal
from functools import partial

import numpy as np

from data.dataset import Array
from data.splits.build import Division
from jobs.plans.bagging.conclusion import conclude
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.ensembles import cannot_vote
from jobs.plans.fits import Conclusion, FitRows, Plan, Round
from jobs.plans.maker import FitMaker


def plan(spec: BaggingPlanSpec, maker: FitMaker) -> Plan:
    """Ask for M members at once; those that finish vote."""
    [division] = maker.divisions()
    members = [
        maker.fit(
            f"member {i}",
            partial(member_rows, spec, division, maker.derived_seed("member", i, "rows")),
            seed=maker.derived_seed("member", i),
            place={"member": i},
        )
        for i in range(1, spec.members + 1)
    ]
    results = yield Round(fits=members)
    found = conclude(spec, maker, division, members, results)
    return cannot_vote(results) if found is None else Conclusion(result=found.model_dump(mode="json"))


def member_rows(spec: BaggingPlanSpec, division: Division, seed: int) -> FitRows:
    """Draw a member's training rows. It is asked about those left out, then the validation rows, then the test rows.

    Test rows are no part of a member: the ensemble measures them, once.
    """
    rows = np.sort(division.train)
    draws = np.random.default_rng(seed)
    drawn = np.sort(draws.choice(rows, sample_size(spec, len(rows)), replace=spec.bootstrap))
    return FitRows(
        train=drawn,
        val=division.val,
        test=division.test[:0],
        asked=np.concatenate([left_out(division, drawn), division.val, division.test]),
        is_sample=True,
    )


def left_out(division: Division, drawn: Array) -> Array:
    """Give the training rows that were not drawn, ascending: out of the bag."""
    is_out = np.zeros(division.train.max() + 1, dtype=bool)  # of a million rows np.setdiff1d takes a second, for each member
    is_out[division.train] = True
    is_out[drawn] = False
    return np.flatnonzero(is_out)


def sample_size(spec: BaggingPlanSpec, rows: int) -> int:
    """Rows that a member draws of `rows`: to the nearest, halves up, on the decimal as sent; at least 1."""
    return max(1, int((Decimal(repr(spec.sample_fraction)) * rows).quantize(Decimal(1), rounding=ROUND_HALF_UP)))
