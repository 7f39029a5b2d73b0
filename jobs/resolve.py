"""From what a client sent to what will run, or to everything that is wrong with it."""

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from data.builtin import catalog, info
from data.dataset import DatasetInfo
from data.splits.build import SplitProblem, stratifies
from jobs.limits import Limits
from jobs.plans.fits import Conclusion, PlannedFit
from jobs.plans.replay import replay
from jobs.rows import batch_rows, division_of
from jobs.spec import JobSpec
from models.normalizations.spec import BatchNormSpec
from models.shapes import Layer, ShapeProblem, layers, num_parameters
from models.spec import CnnSpec, MlpSpec
from training.losses.spec import CrossEntropySpec, LossSpec, SquaredErrorSpec

_CLASSES_ONLY = frozenset({"val_accuracy"})
_NUMBERS_ONLY = frozenset({"val_rmse", "val_r2"})


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


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A spec with every default filled in, and what it amounts to."""

    spec: JobSpec
    info: DatasetInfo
    warnings: tuple[str, ...]
    layers: tuple[Layer, ...]
    num_parameters: int
    fits: tuple[PlannedFit, ...]


def resolve(spec: JobSpec, limits: Limits | None = None) -> Resolved:
    """Fill in what the client left open (seed, loss, stratification, kept weights) and check all that can be known.

    Raises:
        SpecProblems: with every problem found.
    """
    limits = limits or Limits()
    dataset = _dataset(spec.dataset)
    table = _layers(spec, dataset)
    problems = [*_technique_problems(spec, dataset), *_size_problems(spec, table, limits)]
    if problems:
        raise SpecProblems(*problems)
    resolved, warnings = _filled(spec, dataset)
    try:
        _, division = division_of(resolved)
    except SplitProblem as problem:
        raise SpecProblems(Problem(problem.pointer, problem.code, str(problem))) from problem
    problems = list(_row_problems(resolved, len(division.train), table, limits))
    if problems:
        raise SpecProblems(*problems)
    size = resolved.training.batch_size
    if size != "full" and size > len(division.train):
        warnings.append(
            f"batch_size {size} is more than the {len(division.train)} training rows: every batch is the full {len(division.train)} rows"
        )
    fits = replay(resolved, ())
    if isinstance(fits, Conclusion):
        raise SpecProblems(Problem("/plan", "no_fits", "this plan has nothing to train"))
    return Resolved(
        spec=resolved, info=dataset, warnings=tuple(warnings), layers=table, num_parameters=num_parameters(table), fits=tuple(fits)
    )


def _dataset(dataset_id: str) -> DatasetInfo:
    try:
        found = info(dataset_id)
    except KeyError:
        known = ", ".join(entry.id for entry in catalog() if entry.available)
        raise SpecProblems(Problem("/dataset", "unknown_dataset", f"no dataset has this id; there are {known}")) from None
    if not found.available:
        raise SpecProblems(Problem("/dataset", "dataset_unavailable", f"{found.id} cannot be used here: {found.unavailable_reason}"))
    return found


def _layers(spec: JobSpec, dataset: DatasetInfo) -> tuple[Layer, ...]:
    try:
        return layers(spec.network, dataset.input_shape, dataset.num_outputs)
    except ShapeProblem as problem:
        raise SpecProblems(Problem(problem.pointer, problem.code, str(problem))) from problem


def _technique_problems(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Problem]:
    """Techniques that do not apply, and fields that would have no effect."""
    if spec.loss is not None and spec.loss.name != _loss_for(dataset).name:
        yield Problem(
            "/loss", "does_not_apply", f"{spec.loss.name} does not apply to {dataset.task}; {dataset.id} needs {_loss_for(dataset).name}"
        )
    yield from _stopping_problems(spec, dataset)
    yield from _idle_hidden_fields(spec)
    if spec.training.batch_size == 1 and isinstance(spec.network.normalization, BatchNormSpec):
        yield Problem(
            "/training/batch_size", "batch_norm_needs_rows", "batch_norm needs at least 2 rows in a batch; with batch_size 1 use layer_norm"
        )
    if dataset.task == "classification" and spec.preprocessing.target == "none":
        yield Problem("/preprocessing/target", "no_effect", "a class is never standardised: leave preprocessing.target out")


def _stopping_problems(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Problem]:
    if spec.early_stopping is None:
        return
    monitor = spec.early_stopping.monitor
    if spec.split.val_fraction == 0:
        yield Problem("/early_stopping", "needs_validation", f"{monitor} needs validation rows: set split.val_fraction above 0")
    wrong = _NUMBERS_ONLY if dataset.task == "classification" else _CLASSES_ONLY
    if monitor in wrong:
        yield Problem("/early_stopping/monitor", "does_not_apply", f"{monitor} is not measured for {dataset.task}")


def _idle_hidden_fields(spec: JobSpec) -> Iterator[Problem]:
    """Without a hidden layer there is nothing to normalize, activate or drop."""
    network = spec.network
    if isinstance(network, CnnSpec) or network.hidden_units:
        return
    default = MlpSpec(name="mlp")
    for field in ("activation", "normalization", "dropout"):
        if getattr(network, field) != getattr(default, field):
            yield Problem(f"/network/{field}", "no_effect", f"{field} acts on hidden layers, and hidden_units is empty")


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
    if spec.training.max_epochs > limits.max_epochs:
        yield Problem(
            "/training/max_epochs", "too_many_epochs", f"{spec.training.max_epochs} epochs are more than the {limits.max_epochs} allowed"
        )


def _row_problems(spec: JobSpec, rows: int, table: tuple[Layer, ...], limits: Limits) -> Iterator[Problem]:
    if rows == 1 and isinstance(spec.network.normalization, BatchNormSpec):
        yield Problem("/split", "batch_norm_needs_rows", "batch_norm needs at least 2 training rows; this split leaves 1")
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


def _loss_for(dataset: DatasetInfo) -> LossSpec:
    if dataset.task == "classification":
        return CrossEntropySpec(name="cross_entropy")
    return SquaredErrorSpec(name="squared_error")


def _filled(spec: JobSpec, dataset: DatasetInfo) -> tuple[JobSpec, list[str]]:
    warnings = []
    training = spec.training
    if spec.split.val_fraction == 0 and training.kept_weights == "best":
        training = training.model_copy(update={"kept_weights": "last"})
        warnings.append("without validation rows no epoch can be called best: the weights of the last epoch are kept")
    resolved = spec.model_copy(
        update={
            "seed": secrets.randbelow(2**32) if spec.seed is None else spec.seed,
            "loss": _loss_for(dataset),
            "split": spec.split.model_copy(update={"stratify": stratifies(spec.split, dataset.task)}),
            "training": training,
        }
    )
    return resolved, warnings
