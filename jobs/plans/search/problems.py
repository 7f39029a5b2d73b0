"""What is wrong with a search, as far as can be known before it starts."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from data.dataset import Dataset
from data.splits.build import Division
from jobs.applicability import has_validation
from jobs.limits import Limits
from jobs.plans.divided import has_varied_targets
from jobs.plans.maker import FitMaker
from jobs.plans.search.faults import all_problems
from jobs.plans.search.halving import rungs_of
from jobs.plans.search.searching import count_candidates, some_candidates
from jobs.plans.search.space import Candidate, count_settings, key_of
from jobs.plans.search.spec import MAX_PROPOSALS, ListedSpec, SearchPlanSpec, SearchSpec
from jobs.pointers import escaped
from jobs.problems import Problem
from jobs.rows import divisions_of
from jobs.spec import JobSpec
from training.schedules.spec import ReduceOnPlateauSpec

_CLASSES_ONLY = frozenset({"val_accuracy"})
_NUMBERS_ONLY = frozenset({"val_rmse", "val_r2"})


def problems(spec: JobSpec, dataset: Dataset, limits: Limits | None = None) -> Iterator[Problem]:
    """Find what is wrong with the plan `search` of a resolved spec."""
    asked = spec.plan
    if not isinstance(asked, SearchPlanSpec):
        return
    if not has_validation(spec, dataset.info):
        yield Problem("/plan", "needs_validation", "candidates are compared by validation rows: set split.val_fraction above 0")
        return
    divisions = divisions_of(spec, dataset)
    found = [*search_problems(asked, spec, dataset, limits or Limits(), "/plan", len(divisions), grounds=1, further_fits=int(asked.refit))]
    found += variation_problems(asked, dataset, [(one.label, one) for one in divisions], "/plan")
    yield from found
    if not found:
        yield from space_problems(asked, spec, dataset, divisions, "/plan", is_refitted=asked.refit)


def search_problems(
    asked: SearchSpec, spec: JobSpec, dataset: Dataset, limits: Limits, at: str, divisions: int, *, grounds: int, further_fits: int
) -> Iterator[Problem]:
    """Find what can be said before any candidate is made; `at` is the search's pointer, run on so many `grounds`."""
    wrong = _NUMBERS_ONLY if dataset.info.task == "classification" else _CLASSES_ONLY
    if asked.metric in wrong:
        yield Problem(f"{at}/metric", "does_not_apply", f"{asked.metric} is not measured for {dataset.info.task}")
    if asked.choose == "one_standard_error" and divisions < 2:
        message = "a standard error needs several divisions: use k_fold or time_series, or choose best"
        yield Problem(f"{at}/choose", "needs_folds", message)
    yield from _field_problems(asked, at)
    found = [*_axis_problems(asked, at)]
    yield from found
    if found:
        return
    count = count_candidates(asked)
    yield from _halving_problems(asked, spec, at, count)
    fits = count * divisions * grounds + further_fits
    if fits > limits.max_fits:
        each = f" on {divisions} divisions" if divisions > 1 else ""
        each += f" in each of {grounds} outer folds" if grounds > 1 else ""
        message = f"{count} candidates{each} are {fits} fits in all, more than the {limits.max_fits} allowed"
        yield Problem(f"{at}/space" if asked.method == "grid" else f"{at}/candidates", "too_many_fits", message)
    there_are = count_settings(asked.space)
    if asked.method != "grid" and there_are is not None and there_are < count:
        wanted = "different ones are to be drawn" if asked.method == "random" else "are to be proposed"
        message = f"the space has only {there_are} settings, and {count} {wanted}: ask for fewer, or use grid"
        yield Problem(f"{at}/candidates", "too_few_settings", message)


def variation_problems(asked: SearchSpec, dataset: Dataset, named: Iterable[tuple[str, Division]], at: str) -> Iterator[Problem]:
    """Find the first division that R2 says nothing of: its validation targets have no variation."""
    if asked.metric != "val_r2":
        return
    for label, division in named:
        if not has_varied_targets(dataset, division.val):
            what = "its only validation row has" if len(division.val) == 1 else f"its {len(division.val)} validation rows all have"
            message = f"val_r2 compares errors with the variation of the targets, and in {label} there is none: {what} one target"
            yield Problem(f"{at}/metric", "does_not_apply", f"{message}; choose val_loss or val_rmse, or larger validation parts")
            return


def space_problems(
    asked: SearchSpec, spec: JobSpec, dataset: Dataset, divisions: Sequence[Division], at: str, *, is_refitted: bool
) -> Iterator[Problem]:
    """Find candidates that cannot be trained: any of a grid or a random search, the corners of a Bayesian one."""
    maker = FitMaker(spec, dataset)
    candidates = some_candidates(asked, maker)
    found = [*all_problems(maker, candidates, divisions, f"{at}/space")]
    yield from found
    if is_refitted and not found:
        follows = next((one for one in candidates if _follows_validation(maker, one)), None)
        if follows is not None:
            message = f"reduce_on_plateau follows validation rows, and the chosen setting is fitted again without any ({follows.label})"
            advice = "choose another schedule" if at != "/plan" else "choose another schedule, or set refit to false"
            yield Problem(f"{at}/refit" if at == "/plan" else at, "needs_validation", f"{message}: {advice}")


def _follows_validation(maker: FitMaker, candidate: Candidate) -> bool:
    return isinstance(maker.variant(candidate.settings).schedule, ReduceOnPlateauSpec)


def _field_problems(asked: SearchSpec, at: str) -> Iterator[Problem]:
    if asked.method == "grid" and asked.candidates is not None:
        yield Problem(f"{at}/candidates", "no_effect", "a grid has as many candidates as its values make: leave candidates out")
    if asked.method != "bayesian" and asked.at_once is not None:
        yield Problem(f"{at}/at_once", "no_effect", f"at_once is for bayesian: the candidates of {asked.method} are all known at once")
    if asked.method == "bayesian" and (asked.candidates or 0) > MAX_PROPOSALS:
        message = f"{asked.candidates} candidates are more than the {MAX_PROPOSALS} that bayesian proposes: use random"
        yield Problem(f"{at}/candidates", "too_many_candidates", message)
    if asked.method == "bayesian" and asked.halving is not None:
        yield Problem(
            f"{at}/halving", "does_not_apply", "halving is for grid and random: bayesian learns from candidates that went to their end"
        )


def _axis_problems(asked: SearchSpec, at: str) -> Iterator[Problem]:
    for pointer, axis in asked.space.items():
        here = f"{at}/space/{escaped(pointer)}"
        if isinstance(axis, ListedSpec):
            seen: set[str] = set()
            for i, value in enumerate(axis.values):
                key = key_of({pointer: value})
                if key in seen:
                    yield Problem(f"{here}/values/{i}", "repeated", f"{_brief(value)} is listed twice")
                seen.add(key)
        elif asked.method == "grid":
            yield Problem(here, "needs_values", "a grid needs listed values: give values, or use random or bayesian")


def _brief(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _halving_problems(asked: SearchSpec, spec: JobSpec, at: str, count: int) -> Iterator[Problem]:
    if asked.halving is None or asked.method == "bayesian":
        return
    varied = [pointer for pointer in asked.space if pointer in {"/training", "/training/max_epochs"}]
    if varied:
        message = f"candidates are compared at the same epochs, and {varied[0]} varies how many they have: leave it out, or halving"
        yield Problem(f"{at}/halving", "does_not_apply", message)
    elif count < 2:
        yield Problem(f"{at}/halving", "no_effect", "there is a single candidate: there is nothing to stop")
    elif not rungs_of(asked.halving, count, spec.training.max_epochs):
        message = f"the first choice would come after {asked.halving.first_epochs or spec.training.max_epochs} epochs, and max_epochs is {spec.training.max_epochs}"
        yield Problem(f"{at}/halving", "no_effect", message)
