"""Faults of a varied spec are reported where a client can mend them: in the plan that varied it."""

from collections.abc import Mapping
from typing import Any

from jobs.pointers import escaped, is_within
from jobs.problems import Problem


def located(problem: Problem, origin: str, overrides: Mapping[str, Any]) -> Problem:
    """Point into the job spec, at what set `overrides` (an object at `origin`, pointer -> value), for a fault of the varied spec.

    A fault of what an override set is found at its key or below; one that an override brought about elsewhere is found at
    that key if there is one below the fault, else at `origin`, and says where it shows.
    """
    if not origin:
        return problem
    around = [pointer for pointer in overrides if is_within(problem.pointer, pointer)]
    if around:
        key = max(around, key=len)
        return Problem(f"{origin}/{escaped(key)}{problem.pointer.removeprefix(key)}", problem.code, problem.message)
    inside = [pointer for pointer in overrides if is_within(pointer, problem.pointer)]
    pointer = f"{origin}/{escaped(inside[0])}" if len(inside) == 1 else origin
    return Problem(pointer, problem.code, f"{problem.message} (at {problem.pointer})")


def overlaps(overrides: Mapping[str, Any], origin: str) -> list[Problem]:
    """Refuse pointers of which one leads into another: what is set then depends on the order of an object's keys."""
    return [
        Problem(f"{origin}/{escaped(pointer)}", "overlaps", f"{pointer} is inside {outer}, which is set as well: set it there")
        for pointer in overrides
        for outer in overrides
        if outer != pointer and is_within(pointer, outer)
    ]
