"""What is wrong with nested cross-validation, as far as can be known before it starts."""

from collections.abc import Iterator

from data.dataset import Dataset
from data.splits.build import SplitProblem, filled
from data.splits.spec import HoldoutSpec
from jobs.applicability import has_validation
from jobs.limits import Limits
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.plans.search.problems import search_problems, space_problems, variation_problems
from jobs.problems import Problem
from jobs.rows import divisions_of
from jobs.spec import JobSpec


def problems(spec: JobSpec, dataset: Dataset, limits: Limits | None = None) -> Iterator[Problem]:
    """Find what is wrong with the plan `nested_cv` of a resolved spec."""
    asked = spec.plan
    if not isinstance(asked, NestedCvPlanSpec):
        return
    if not has_validation(spec, dataset.info):
        message = "the validation rows of the split are what the searches are measured on: set split.val_fraction above 0"
        yield Problem("/split", "needs_validation", message)
        return
    if asked.inner_split.test_fraction > 0:
        message = "rows set aside inside an outer fold would be measured by nothing: leave test_fraction out"
        yield Problem("/plan/inner_split/test_fraction", "no_effect", message)
        return
    if isinstance(asked.inner_split, HoldoutSpec) and asked.inner_split.val_fraction == 0:
        message = "candidates are compared by the inner validation rows: set val_fraction above 0"
        yield Problem("/plan/inner_split/val_fraction", "needs_validation", message)
        return
    outer, split = divisions_of(spec, dataset), filled(asked.inner_split, dataset)
    try:
        inner = [divisions_of(spec, dataset, split=split, rows=one.train) for one in outer]
    except SplitProblem as problem:
        pointer = problem.pointer.replace("/split", "/plan/inner_split", 1)
        yield Problem(pointer, problem.code, f"the training rows of an outer fold cannot be divided: {problem}")
        return
    count = len(inner[0])
    found = [
        *search_problems(
            asked.search, spec, dataset, limits or Limits(), "/plan/search", count, grounds=len(outer), further_fits=len(outer)
        )
    ]
    named = [
        (f"{one.label} of the training rows of outer {fold.label}", one) for fold, parts in zip(outer, inner, strict=True) for one in parts
    ]
    named += [(f"outer {fold.label}", fold) for fold in outer]
    found += variation_problems(asked.search, dataset, named, "/plan/search")
    yield from found
    if not found:
        # Inner divisions come first: they have the fewest rows.
        divisions = [*(division for one in inner for division in one), *outer]
        yield from space_problems(asked.search, spec, dataset, divisions, "/plan/search", is_refitted=True)
