"""Candidates on divisions, each trained and scored: the part of a search that nests."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from data.splits.build import Division
from jobs.plans.fits import FitRows, PlannedFit, Round
from jobs.plans.maker import FitMaker
from jobs.plans.search.faults import all_problems, candidate_problems
from jobs.plans.search.halving import Later, Search, Searched, halved, rungs_of
from jobs.plans.search.proposals import Proposals
from jobs.plans.search.space import Candidate, Settings, candidates_of, corners, key_of, label_of
from jobs.plans.search.spec import DEFAULT_AT_ONCE, DEFAULT_CANDIDATES, SearchSpec
from jobs.plans.search.tried import Tried
from jobs.problems import Problem, SpecProblems
from jobs.rows import batch_rows
from jobs.spec import JobSpec
from models.shapes import ShapeProblem
from training.monitors import rises


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where a search takes place: the divisions that score candidates, and what their fits are called.

    `label` precedes theirs, `place` is theirs too; `fold` precedes the name of a division. `origin` is the pointer of the
    space in the job spec.
    """

    divisions: Sequence[Division]
    origin: str
    label: str = ""
    place: Mapping[str, int] = field(default_factory=dict)
    fold: str = ""


def searched(asked: SearchSpec, maker: FitMaker, ground: Ground, later: Later) -> Search:
    """Try every candidate on every division with the job's seed; no test row is seen. `later` is what follows the search.

    Raises:
        SpecProblems: when the first round is asked for; a candidate of a grid or a random search cannot be trained, or none
            that was proposed.
    """
    if asked.method == "bayesian":
        return (yield from _proposed(asked, maker, ground, later))
    tried = _planned(maker, ground, candidates_of(asked, candidate_seed(maker)))
    rungs = []
    if asked.halving is not None:
        rungs = rungs_of(asked.halving, len(tried), maker.spec.training.max_epochs)
    factor = 1 if asked.halving is None else asked.halving.factor
    return (yield from halved(tried, rungs, factor, asked.metric, later))


def candidate_seed(maker: FitMaker) -> int:
    """Derive the seed that candidates are drawn with, 32 bits: the same on every ground."""
    return maker.derived_seed("search", "candidates") % 2**32


def most_steps(asked: SearchSpec, maker: FitMaker, rows: int) -> int:
    """Bound the optimizer updates of any candidate's fit on so many training rows."""
    if asked.method == "bayesian":
        # Only these decide how many updates there are.
        space = {pointer: axis for pointer, axis in asked.space.items() if pointer.split("/")[1:2] == ["training"]}
        settings: Iterator[Settings] = corners(space)
    else:
        settings = (candidate.settings for candidate in candidates_of(asked, candidate_seed(maker)))
    return max((_steps(spec, rows) for one in settings if (spec := _variant(maker, one)) is not None), default=0)


def _steps(spec: JobSpec, rows: int) -> int:
    batches = math.ceil(rows / batch_rows(spec, rows))
    return math.ceil(batches / spec.training.accumulate_batches) * spec.training.max_epochs


def _variant(maker: FitMaker, settings: Settings) -> JobSpec | None:
    try:
        return maker.variant(settings)
    except SpecProblems:
        return None


def _planned(maker: FitMaker, ground: Ground, candidates: Sequence[Candidate]) -> list[Tried]:
    try:
        return [Tried(candidate=one, fits=tuple(_fits(maker, ground, one)), results={}) for one in candidates]
    except (SpecProblems, ShapeProblem) as problem:
        raise SpecProblems(*all_problems(maker, candidates, ground.divisions, ground.origin)) from problem


def _fits(maker: FitMaker, ground: Ground, candidate: Candidate) -> Iterator[PlannedFit]:
    several = len(ground.divisions) > 1
    for division in ground.divisions:
        names = [ground.label, candidate.label, f"{ground.fold}{division.label}" if several else ""]
        yield maker.fit(
            ", ".join(name for name in names if name),
            partial(FitRows, train=division.train, val=division.val, test=division.train[:0]),
            overrides=candidate.settings,
            place={
                **ground.place,
                "candidate": candidate.number,
                **{f"{ground.fold.replace(' ', '_')}{key}": i for key, i in division.place.items()},
            },
            origin=ground.origin,
        )


def _proposed(asked: SearchSpec, maker: FitMaker, ground: Ground, later: Later) -> Search:
    """Ask for a batch of proposals, train it, tell what came of it, and so on.

    What was proposed before is not trained again: its score is told again. A setting that cannot be trained, and one with
    a fit that failed, are told as worse than any score.
    """
    proposals = Proposals(asked.space, candidate_seed(maker), rises=rises(asked.metric))
    wanted, steps = asked.candidates or DEFAULT_CANDIDATES, sum(most_steps(asked, maker, len(one.train)) for one in ground.divisions)
    tried: dict[str, Tried] = {}
    while wanted > 0:
        batch = [proposals.ask() for _ in range(min(asked.at_once or DEFAULT_AT_ONCE, wanted))]
        wanted -= len(batch)
        new = {key: settings for _, settings in batch if (key := key_of(settings)) not in tried}
        for key, settings in new.items():
            candidate = Candidate(number=len(tried) + 1, label=label_of(asked.space, settings), settings=settings)
            tried[key] = _tried(maker, ground, candidate)
        fits = [fit for key in new for fit in tried[key].fits]
        if fits:
            results = yield Round(
                fits=fits, later_fits=wanted * len(ground.divisions) + later.fits, later_steps=wanted * steps + later.steps
            )
            heard = {result.number: result for result in results}
            tried |= {key: tried[key].told(heard) for key in new}
        for trial, settings in batch:
            proposals.tell(trial, tried[key_of(settings)].score(asked.metric))
    if not any(one.fits for one in tried.values()):
        message = f"none of {len(tried)} proposals could be trained: {next(iter(tried.values())).refusal}"
        raise SpecProblems(Problem(ground.origin, "no_candidate", message))
    return Searched(tried=list(tried.values()))


def _tried(maker: FitMaker, ground: Ground, candidate: Candidate) -> Tried:
    problem = next(iter(candidate_problems(maker, candidate.settings, ground.divisions)), None)
    if problem is not None:
        return Tried(candidate=candidate, results={}, refusal=f"{problem.pointer}: {problem.message}")
    return Tried(candidate=candidate, fits=tuple(_fits(maker, ground, candidate)), results={})


def count_candidates(asked: SearchSpec) -> int:
    """Count the candidates that a search trains at most, without making them."""
    if asked.method != "grid":
        return asked.candidates or DEFAULT_CANDIDATES
    return math.prod(len(getattr(axis, "values", ())) for axis in asked.space.values())


def some_candidates(asked: SearchSpec, maker: FitMaker) -> list[Candidate]:
    """Give the candidates to be checked before a job is accepted: all that are known, or the corners of what is proposed."""
    if asked.method != "bayesian":
        return candidates_of(asked, candidate_seed(maker))
    settings = enumerate(corners(asked.space), start=1)
    return [Candidate(number=i, label=label_of(asked.space, one), settings=one) for i, one in settings]
