"""Whether a spec with overrides could run: the faults that are known before its fits can be made."""

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.applicability import technique_problems
from jobs.fitness import data_problems
from jobs.plans.maker import FitMaker
from jobs.plans.origins import located, overlaps
from jobs.problems import Problem, SpecProblems
from jobs.rows import input_shape_of
from models.shapes import ShapeProblem, layers


def varied_problems(maker: FitMaker, overrides: Mapping[str, Any], origin: str) -> Iterator[Problem]:
    """Find what is wrong with the job's spec once `overrides`, an object at `origin` of the job's body, are set.

    That is all that does not depend on which rows are trained on, and a network that cannot be built.
    """
    yield from overlaps(overrides, origin)
    yield from (located(problem, origin, overrides) for problem in _faults(maker, overrides))


def _faults(maker: FitMaker, overrides: Mapping[str, Any]) -> list[Problem]:
    dataset = maker.dataset
    try:
        spec = maker.variant(overrides)
    except SpecProblems as refused:
        return list(refused.problems)
    found = [*technique_problems(spec, dataset.info), *data_problems(spec, dataset.info)]
    if found:
        return found
    try:
        layers(spec.network, input_shape_of(spec, dataset, maker.divisions()[0].train), dataset.info.num_outputs)
    except ShapeProblem as problem:
        return [Problem(problem.pointer, problem.code, str(problem))]
    return []
