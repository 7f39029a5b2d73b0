"""Plans that run side by side as one: their rounds are merged, so that their fits train at the same time."""

from collections.abc import Generator, Sequence
from typing import TypeVar

from jobs.plans.fits import FitResult, Round

T = TypeVar("T")


def lockstep(plans: Sequence[Generator[Round, list[FitResult], T]]) -> Generator[Round, list[FitResult], list[T]]:
    """Run plans side by side to their ends; give what they return, in their order. One may end rounds before another."""
    ended: dict[int, T] = {}
    awaited: dict[int, Round] = {}
    heard: dict[int, list[FitResult] | None] = dict.fromkeys(range(len(plans)))
    while heard:
        for i, results in heard.items():
            try:
                awaited[i] = next(plans[i]) if results is None else plans[i].send(results)
            except StopIteration as end:
                ended[i] = end.value
                awaited.pop(i, None)
        heard = {}
        if awaited:
            rest = iter((yield _merged(list(awaited.values()))))
            heard = {i: [next(rest) for _ in one.fits] for i, one in awaited.items()}
    return [ended[i] for i in range(len(plans))]


def _merged(rounds: Sequence[Round]) -> Round:
    return Round(
        fits=[fit for one in rounds for fit in one.fits],
        pruned=[number for one in rounds for number in one.pruned],
        later_fits=sum(one.later_fits for one in rounds),
        later_steps=sum(one.later_steps for one in rounds),
    )
