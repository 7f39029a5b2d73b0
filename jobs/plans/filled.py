"""Plans as they are echoed: every default filled in, and what they leave undone said."""

from collections.abc import Iterator, Sequence
from typing import Any

from data.counting import counted
from data.dataset import Dataset
from data.splits.build import filled
from data.splits.division import Division
from jobs.plans.bagging.spec import BaggingPlanSpec
from jobs.plans.boosting.spec import BoostingPlanSpec
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.nested_cv.spec import NestedCvPlanSpec
from jobs.plans.search.spec import DEFAULT_AT_ONCE, DEFAULT_CANDIDATES, SearchPlanSpec, SearchSpec
from jobs.plans.spec import PlanSpec


def filled_plan(plan: PlanSpec, dataset: Dataset) -> PlanSpec:
    """Fill in what a client left open."""
    match plan:
        case SearchPlanSpec():
            return plan.model_copy(update=_search_defaults(plan))
        case NestedCvPlanSpec():
            search = plan.search.model_copy(update=_search_defaults(plan.search))
            return plan.model_copy(update={"inner_split": filled(plan.inner_split, dataset), "search": search})
        case BaggingPlanSpec() if dataset.info.task == "classification":
            return plan.model_copy(update={"vote": plan.vote or "soft"})
        case _:
            return plan


def _search_defaults(search: SearchSpec) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if search.method != "grid":
        found["candidates"] = search.candidates or DEFAULT_CANDIDATES
    if search.method == "bayesian":
        found["at_once"] = search.at_once or DEFAULT_AT_ONCE
    return found


def unmeasured(plan: PlanSpec, divisions: Sequence[Division]) -> Iterator[str]:
    """Warn of test rows that are set aside and measured by nobody: they are for one final model, once."""
    rows = len(divisions[0].test)
    match plan:
        case FitPlanSpec():
            is_measured = plan.refit or len(divisions) == 1
        case SearchPlanSpec():
            is_measured = plan.refit
        case BaggingPlanSpec() | BoostingPlanSpec():
            is_measured = True
        case _:
            is_measured = False
    if rows and not is_measured:
        how = "set plan.refit to measure them" if isinstance(plan, FitPlanSpec | SearchPlanSpec) else "a search or a bagging leaves one"
        yield f"{counted(rows, 'test row is', 'test rows are')} set aside and not measured: the plan {plan.name} leaves no final model here ({how})"
