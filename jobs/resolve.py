"""From what a client sent to what will run, or to everything that is wrong with it."""

import json
import math
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.builtin import BUILTINS
from data.dataset import Array, Dataset, DatasetInfo, DatasetSource, RowsAway
from data.splits.build import Division, SplitProblem, filled
from jobs.applicability import class_problems, has_validation, idle_techniques, loss_for, row_problems, technique_problems
from jobs.fitness import data_problems, data_warnings, missing_problems
from jobs.limits import Limits
from jobs.plans.filled import filled_plan, unmeasured
from jobs.plans.fits import PlannedFit, Round
from jobs.plans.origins import located
from jobs.plans.problems import plan_problems
from jobs.plans.replay import start
from jobs.pointers import within
from jobs.problems import Problem, SpecProblems
from jobs.rows import batch_rows, divisions_of, input_shape_of
from jobs.spec import JobSpec
from models.shapes import Layer, ShapeProblem, layers, num_parameters


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A spec with every default filled in, and what it amounts to."""

    spec: JobSpec
    info: DatasetInfo
    warnings: tuple[str, ...]
    layers: tuple[Layer, ...]
    num_parameters: int
    divisions: tuple[Division, ...]
    first_round: Round

    @property
    def fits(self) -> Sequence[PlannedFit]:
        """Give the fits of the plan's first round."""
        return self.first_round.fits


def resolve(spec: JobSpec, limits: Limits | None = None, source: DatasetSource = BUILTINS) -> Resolved:
    """Fill in what the client left open (seed, loss, split, kept weights) and check all that can be known.

    Raises:
        SpecProblems: with every problem found.
    """
    limits = limits or Limits()
    dataset = _dataset(spec.dataset, source)
    info = dataset.info
    problems = [*technique_problems(spec, info), *data_problems(spec, info)]
    if problems:
        raise SpecProblems(*problems)
    resolved, warnings = _filled(spec, dataset)
    try:
        divisions = divisions_of(resolved, dataset)
    except SplitProblem as problem:
        raise SpecProblems(Problem(problem.pointer, problem.code, str(problem))) from problem
    for division in divisions:
        problems = list(missing_problems(dataset, division))
        if problems:
            raise SpecProblems(*problems)
    tables = [_checked(resolved, dataset, division.train, limits) for division in divisions]
    warnings += idle_techniques(resolved, min(len(division.train) for division in divisions))
    warnings += data_warnings(resolved, dataset, divisions)
    first_round = _first_round(resolved, dataset, limits)
    warnings += unmeasured(resolved.plan, divisions)
    return Resolved(
        spec=resolved,
        info=info,
        warnings=tuple(warnings),
        layers=tables[0],
        num_parameters=num_parameters(tables[0]),
        divisions=tuple(divisions),
        first_round=first_round,
    )


def _first_round(spec: JobSpec, dataset: Dataset, limits: Limits) -> Round:
    """Start the plan, and check all that its first round varies."""
    problems = list(plan_problems(spec, dataset, limits))
    if problems:
        raise SpecProblems(*problems)
    try:
        first = next(start(spec, dataset))
    except (SplitProblem, ShapeProblem) as problem:
        raise SpecProblems(Problem(problem.pointer, problem.code, str(problem))) from problem
    num_fits, updates = len(first.fits) + first.later_fits, sum(fit.steps_planned for fit in first.fits) + first.later_steps
    if num_fits > limits.max_fits:
        raise SpecProblems(Problem("/plan", "too_many_fits", f"{num_fits} fits are more than the {limits.max_fits} allowed"))
    if updates > limits.max_plan_updates:
        message = f"{updates} updates of {num_fits} fits are more than the {limits.max_plan_updates} allowed"
        raise SpecProblems(Problem("/plan", "too_many_updates", message))
    checked: set[tuple[str, str]] = set()
    for fit in first.fits:
        key = (json.dumps(dict(fit.overrides), sort_keys=True), fit.row_hash)
        if key not in checked:
            checked.add(key)
            try:
                _check_fit(fit, dataset, limits, is_known=any(known[0] == key[0] for known in checked - {key}))
            except SpecProblems as found:
                raise SpecProblems(*(_set_at(problem, fit, spec) for problem in found.problems)) from found
    return first


def _check_fit(fit: PlannedFit, dataset: Dataset, limits: Limits, *, is_known: bool) -> None:
    """Check what a plan made of a spec; pointers are into the fit's."""
    problems = [] if is_known else [*technique_problems(fit.spec, dataset.info), *data_problems(fit.spec, dataset.info)]
    if not problems:
        try:
            rows = fit.rows()
            _checked(fit.spec, dataset, rows.train, limits, is_sample=rows.is_sample)
        except SpecProblems as found:
            problems = list(found.problems)
    if problems:
        raise SpecProblems(*problems)


def _set_at(problem: Problem, fit: PlannedFit, spec: JobSpec) -> Problem:
    """Point at what set what is at fault, as far as the job's spec leads there; the rest of the way is told."""
    found = located(problem, fit.origin, fit.overrides)
    pointer = within(found.pointer, spec.model_dump(mode="json")) if fit.origin else found.pointer
    return found if pointer == found.pointer else Problem(pointer, found.code, f"{problem.message} (at {problem.pointer})")


def _checked(spec: JobSpec, dataset: Dataset, train: Array, limits: Limits, *, is_sample: bool = False) -> tuple[Layer, ...]:
    """Check a spec on its training rows; give its layers. Of a sample of rows only the cost is checked."""
    input_shape = input_shape_of(spec, dataset, train)
    table = _layers(spec, dataset.info, input_shape)
    labels = dataset.y[train]
    problems = [
        *_size_problems(spec, table, limits),
        *_prepared_problems(dataset.info.num_rows, input_shape, limits),
        *(() if is_sample else row_problems(spec, labels)),
        *_cost_problems(spec, len(labels), table, limits),
    ]
    if dataset.info.task == "classification" and not is_sample:
        problems += class_problems(labels)
    if problems:
        raise SpecProblems(*problems)
    return table


def _dataset(dataset_id: str, source: DatasetSource) -> Dataset:
    try:
        found = source.info(dataset_id)
        if found.available:
            return source.load(dataset_id)
    except KeyError:
        known = ", ".join(source.suggestions())
        raise SpecProblems(Problem("/dataset", "unknown_dataset", f"no dataset has this id; there are {known}")) from None
    except RowsAway:
        raise
    except OSError as error:
        message = f"the files of {dataset_id} cannot be read here"
        raise SpecProblems(Problem("/dataset", "dataset_unavailable", message)) from error
    raise SpecProblems(Problem("/dataset", "dataset_unavailable", f"{found.id} cannot be used here: {found.unavailable_reason}"))


def _layers(spec: JobSpec, info: DatasetInfo, input_shape: tuple[int, ...]) -> tuple[Layer, ...]:
    try:
        return layers(spec.network, input_shape, info.num_outputs)
    except ShapeProblem as problem:
        raise SpecProblems(Problem(problem.pointer, problem.code, str(problem))) from problem


def _size_problems(spec: JobSpec, table: tuple[Layer, ...], limits: Limits) -> Iterator[Problem]:
    parameters, values = num_parameters(table), _values_per_row(table)
    if parameters > limits.max_parameters:
        yield Problem("/network", "too_many_parameters", f"{parameters} parameters are more than the {limits.max_parameters} allowed")
    if values > limits.max_row_values:
        yield Problem(
            "/network",
            "network_too_large",
            f"the layers put out {values} numbers for each row, more than the {limits.max_row_values} allowed",
        )
    if spec.evaluation.sharpness and parameters > limits.max_sharpness_parameters:
        message = f"{parameters} parameters are more than the {limits.max_sharpness_parameters} whose sharpness is measured"
        yield Problem("/evaluation/sharpness", "too_many_parameters", message)
    if spec.training.max_epochs > limits.max_epochs:
        yield Problem(
            "/training/max_epochs", "too_many_epochs", f"{spec.training.max_epochs} epochs are more than the {limits.max_epochs} allowed"
        )


def _prepared_problems(rows: int, input_shape: tuple[int, ...], limits: Limits) -> Iterator[Problem]:
    values = rows * math.prod(input_shape)
    if values > limits.max_prepared_values:
        message = f"{rows} prepared rows of {list(input_shape)} are {values} numbers, more than the {limits.max_prepared_values} allowed"
        advice = "use fewer columns or ordinal words" if len(input_shape) == 1 else "resize them or use fewer"
        yield Problem("/dataset", "too_many_values", f"{message}: {advice}")


def _cost_problems(spec: JobSpec, rows: int, table: tuple[Layer, ...], limits: Limits) -> Iterator[Problem]:
    batch = batch_rows(spec, rows)
    if batch * _values_per_row(table) > limits.max_batch_values:
        fits = limits.max_batch_values // _values_per_row(table)
        yield Problem(
            "/training/batch_size",
            "batch_too_large",
            f"a batch of {batch} rows does not fit in memory with this network; at most {fits} rows do",
        )
    updates = spec.training.max_epochs * -(-rows // batch)
    if updates > limits.max_updates:
        yield Problem("/training/max_epochs", "too_many_updates", f"{updates} updates are more than the {limits.max_updates} allowed")


def _values_per_row(table: tuple[Layer, ...]) -> int:
    return sum(math.prod(layer.output_shape) for layer in table)


def _filled(spec: JobSpec, dataset: Dataset) -> tuple[JobSpec, list[str]]:
    warnings = []
    training = spec.training
    if not has_validation(spec, dataset.info) and training.kept_weights == "best":
        training = training.model_copy(update={"kept_weights": "last"})
        warnings.append("without validation rows no epoch can be called best: the weights of the last epoch are kept")
    resolved = spec.model_copy(
        update={
            "seed": secrets.randbelow(2**32) if spec.seed is None else spec.seed,
            "loss": loss_for(dataset.info),
            "split": filled(spec.split, dataset),
            "plan": filled_plan(spec.plan, dataset),
            "training": training,
        }
    )
    return resolved, warnings
