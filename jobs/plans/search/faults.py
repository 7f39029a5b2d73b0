"""What is wrong with candidates, reported at the pointer of the space that brought it about."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from data.splits.build import Division
from jobs.applicability import row_problems, technique_problems
from jobs.plans.maker import FitMaker
from jobs.plans.search.space import Candidate
from jobs.pointers import escaped, is_within
from jobs.problems import OF_POINTERS, Problem, SpecProblems
from jobs.rows import input_shape_of
from models.shapes import ShapeProblem, layers


def candidate_problems(maker: FitMaker, settings: Mapping[str, Any], divisions: Sequence[Division]) -> list[Problem]:
    """Find what keeps a setting from being trained; pointers are into the varied spec."""
    try:
        spec = maker.variant(settings)
    except SpecProblems as found:
        return list(found.problems)
    problems = list(technique_problems(spec, maker.dataset.info))
    for division in divisions:
        if problems:
            return problems
        try:
            layers(spec.network, input_shape_of(spec, maker.dataset, division.train), maker.dataset.info.num_outputs)
        except ShapeProblem as problem:
            return [Problem(problem.pointer, problem.code, str(problem))]
        problems += row_problems(spec, maker.dataset.y[division.train])
    return problems


def all_problems(maker: FitMaker, candidates: Iterable[Candidate], divisions: Sequence[Division], origin: str) -> Iterator[Problem]:
    """Find what is wrong with candidates of the space at `origin`; each fault once, with the first candidate that has it."""
    found: dict[Problem, list[Candidate]] = {}
    for candidate in candidates:
        for problem in candidate_problems(maker, candidate.settings, divisions):
            found.setdefault(located(problem, origin, candidate.settings), []).append(candidate)
    for problem, candidates_with in found.items():
        others = f", and {len(candidates_with) - 1} more" if len(candidates_with) > 1 else ""
        of = "" if problem.code in OF_POINTERS else f" ({candidates_with[0].label}{others})"
        yield Problem(problem.pointer, problem.code, f"{problem.message}{of}")


def located(problem: Problem, origin: str, settings: Mapping[str, Any]) -> Problem:
    """Point at the axis of the space that leads to a fault of the varied spec, or at the whole space."""
    within = [pointer for pointer in settings if is_within(problem.pointer, pointer)]
    if not within:
        within = [pointer for pointer in settings if is_within(pointer, problem.pointer)]
        within = within if len(within) == 1 else []
    axis = max(within, key=len, default=None)
    if axis is None:
        return Problem(origin, problem.code, f"{problem.pointer}: {problem.message}")
    told = f"{problem.pointer}: {problem.message}" if problem.code in OF_POINTERS and problem.pointer != axis else problem.message
    return Problem(f"{origin}/{escaped(axis)}", problem.code, told)
