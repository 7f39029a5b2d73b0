"""What the plan `learning_curve` cannot be asked for."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from data.counting import counted
from data.dataset import Dataset
from data.splits.cutting import count_of
from data.splits.division import Division
from jobs.applicability import has_validation
from jobs.fitness import missing_problems
from jobs.plans.learning_curve.plan import part
from jobs.plans.learning_curve.spec import LearningCurvePlanSpec
from jobs.plans.maker import FitMaker
from jobs.plans.origins import located
from jobs.plans.results import is_classification
from jobs.problems import Problem
from jobs.spec import JobSpec


def problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Refuse parts that do not grow or hold too little to learn from, and to measure without validation rows."""
    if not isinstance(spec.plan, LearningCurvePlanSpec):
        return
    if not has_validation(spec, dataset.info):
        yield Problem("/plan", "needs_validation", "a learning curve is measured on validation rows: set split.val_fraction above 0")
    fractions = spec.plan.fractions
    disordered = [i for i, (lower, upper) in enumerate(pairwise(fractions), start=1) if upper <= lower]
    yield from (
        Problem(f"/plan/fractions/{i}", "not_ascending", f"{fractions[i]} does not follow {fractions[i - 1]}: fractions ascend")
        for i in disordered
    )
    if disordered:
        return
    maker = FitMaker(spec, dataset)
    for division in maker.divisions():
        found = list(_part_problems(spec.plan, maker, division))
        if found:  # the other folds would say the same
            yield from found
            return


def _part_problems(plan: LearningCurvePlanSpec, maker: FitMaker, division: Division) -> Iterator[Problem]:
    dataset, all_rows, before = maker.dataset, len(division.train), 0
    for i, fraction in enumerate(plan.fractions):
        origin, rows = f"/plan/fractions/{i}", count_of(fraction, all_rows)
        said = f"{fraction} of {counted(all_rows, 'training row')} ({division.label}) is {counted(rows, 'row')}"
        if rows < 2:
            yield Problem(origin, "too_few_rows", f"{said}, and at least 2 are needed to learn from: ask for a larger share")
            continue
        if rows == before:
            yield Problem(origin, "same_rows", f"{said}, as {plan.fractions[i - 1]} of them is: leave one out")
        before = rows
        train = part(maker, division, fraction)
        if is_classification(dataset) and len(np.unique(dataset.y[train])) < 2:
            yield Problem(origin, "single_class", f"{said} of one class; at least 2 classes are needed: ask for a larger share")
        shrunk = Division(train=train, val=division.val, test=division.test)
        yield from (located(problem, origin, {}) for problem in missing_problems(dataset, shrunk))
