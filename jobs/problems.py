"""What can be wrong with a spec."""

from dataclasses import dataclass

OF_POINTERS = frozenset({"extra_forbidden", "cannot_vary", "no_such_field"})
"""Codes of faults of where something is to be set: what is set there does not matter."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a spec: where (a JSON pointer), a stable code, a sentence."""

    pointer: str
    code: str
    message: str


class SpecProblems(ValueError):
    """A spec that cannot run."""

    def __init__(self, *problems: Problem) -> None:
        """Hold every problem found."""
        super().__init__("; ".join(f"{problem.pointer}: {problem.message}" for problem in problems))
        self.problems = problems
