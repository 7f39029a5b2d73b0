"""What the plan `comparison` cannot be asked for."""

from collections.abc import Iterator

from data.dataset import Dataset
from jobs.applicability import has_validation
from jobs.plans.comparison.spec import ComparisonPlanSpec
from jobs.plans.maker import FitMaker
from jobs.plans.varied import varied_problems
from jobs.problems import Problem
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
    yield from _variant_problems(spec.plan, FitMaker(spec, dataset))


def _variant_problems(plan: ComparisonPlanSpec, maker: FitMaker) -> Iterator[Problem]:
    sound: dict[int, JobSpec] = {}
    for i, variant in enumerate(plan.variants):
        found = list(varied_problems(maker, variant.set, f"/plan/variants/{i}/set"))
        yield from found
        if not found:
            sound[i] = maker.variant(variant.set)
    for j, spec in sound.items():
        twin = next((i for i in sound if i < j and sound[i] == spec), None)
        if twin is not None:
            message = f"{plan.variants[j].label} is the same spec as {plan.variants[twin].label}: there is nothing to compare"
            yield Problem(f"/plan/variants/{j}/set", "same_as", message)
