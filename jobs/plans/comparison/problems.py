"""What the plan `comparison` cannot be asked for."""

from collections.abc import Iterator
from itertools import combinations

from data.dataset import Dataset
from jobs.applicability import has_validation
from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.maker import FitMaker
from jobs.plans.origins import located, overlaps
from jobs.problems import Problem, SpecProblems
from jobs.spec import JobSpec


def problems(spec: JobSpec, dataset: Dataset) -> Iterator[Problem]:
    """Refuse variants that are no valid specs or equal one another, and to compare without validation rows."""
    if not isinstance(spec.plan, ComparisonPlanSpec):
        return
    if not has_validation(spec, dataset.info):
        yield Problem("/plan", "needs_validation", "variants are compared by validation rows: set split.val_fraction above 0")
    labels = [variant.label for variant in spec.plan.variants]
    for i, label in enumerate(labels):
        if label in labels[:i]:
            yield Problem(f"/plan/variants/{i}/label", "duplicate", f"another variant is called {label} already")
    yield from _variant_problems(spec, spec.plan, FitMaker(spec, dataset))


def _variant_problems(spec: JobSpec, plan: ComparisonPlanSpec, maker: FitMaker) -> Iterator[Problem]:
    found: dict[int, JobSpec] = {}
    for i, variant in enumerate(plan.variants):
        origin = f"/plan/variants/{i}/set"
        yield from overlaps(variant.set, origin)
        try:
            found[i] = maker.variant(variant.set)
        except SpecProblems as refused:
            yield from (located(problem, origin, variant.set) for problem in refused.problems)
    for i, j in combinations(found, 2):
        if found[i] == found[j]:
            message = f"{plan.variants[j].label} is the same spec as {plan.variants[i].label}: there is nothing to compare"
            yield Problem(f"/plan/variants/{j}/set", "same_as", message)
