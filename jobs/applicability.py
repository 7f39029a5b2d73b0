"""Techniques that do not apply to a dataset, a network or each other, and fields that would change nothing. All are refused."""

from collections.abc import Iterator

import numpy as np

from data.counting import counted
from data.dataset import Array, DatasetInfo
from data.splits.spec import KFoldSpec, PredefinedSpec, TimeSeriesSpec
from jobs.problems import Problem
from jobs.rows import batches_per_epoch
from jobs.spec import JobSpec
from models.normalizations.spec import BatchNormSpec
from models.spec import CnnSpec, MlpSpec
from training.augmentations.spec import kind_of, misfit
from training.losses.spec import CrossEntropySpec, LossSpec, SquaredErrorSpec
from training.monitors import Monitor
from training.schedules.build import moves
from training.schedules.spec import ConstantSpec, ReduceOnPlateauSpec

_MANY_DRAWS = 1_000_000_000
_CLASSES_ONLY = frozenset({"val_accuracy"})
_NUMBERS_ONLY = frozenset({"val_rmse", "val_r2"})


def loss_for(dataset: DatasetInfo) -> LossSpec:
    """Give the loss of a task."""
    if dataset.task == "classification":
        return CrossEntropySpec(name="cross_entropy")
    return SquaredErrorSpec(name="squared_error")


def has_validation(spec: JobSpec, dataset: DatasetInfo) -> bool:
    """Tell whether the split leaves validation rows."""
    if isinstance(spec.split, KFoldSpec | TimeSeriesSpec):
        return True
    own = dataset.predefined_rows is not None and dataset.predefined_rows["val"] > 0
    return spec.split.val_fraction > 0 or (isinstance(spec.split, PredefinedSpec) and own)


def technique_problems(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Problem]:
    """Find what can be said before any row is looked at."""
    if spec.loss is not None and spec.loss.name != loss_for(dataset).name:
        yield Problem(
            "/loss", "does_not_apply", f"{spec.loss.name} does not apply to {dataset.task}; {dataset.id} needs {loss_for(dataset).name}"
        )
    yield from _network_problems(spec)
    yield from _following_problems(spec, dataset)
    yield from _schedule_problems(spec)
    yield from _class_problems(spec, dataset)
    yield from _mixing_problems(spec, dataset)
    for i, augmentation in enumerate(spec.regularization.augmentations):
        reason = misfit(augmentation, augmented_shape(spec, dataset))
        if reason is not None:
            yield Problem(f"/regularization/augmentations/{i}", "does_not_apply", reason)


def augmented_shape(spec: JobSpec, dataset: DatasetInfo) -> tuple[int, ...]:
    """Give the shape of the rows that are augmented."""
    size = spec.preprocessing.resize
    return dataset.input_shape if size is None or dataset.kind != "image" else (dataset.input_shape[0], *size)


def class_problems(labels: Array) -> Iterator[Problem]:
    """Refuse training rows, whose classes are `labels` [n], that hold nothing to tell apart."""
    if len(np.unique(labels)) < 2:
        message = "the training rows are all of one class; at least 2 are needed: hold out by rows, another share, or fewer folds"
        yield Problem("/split", "single_class", message)


def row_problems(spec: JobSpec, labels: Array) -> Iterator[Problem]:
    """Find what depends on the training rows, whose targets are `labels` [n]."""
    rows = len(labels)
    if rows == 1 and isinstance(spec.network.normalization, BatchNormSpec):
        yield Problem("/split", "batch_norm_needs_rows", "batch_norm needs at least 2 training rows; this split leaves 1")
    if spec.training.accumulate_batches > 1 and batches_per_epoch(spec, rows) == 1:
        yield Problem(
            "/training/accumulate_batches",
            "no_effect",
            f"{counted(rows, 'training row is', 'training rows are')} a single batch: there is nothing to accumulate",
        )
    if spec.regularization.class_weights == "balanced" and len(set(np.unique(labels, return_counts=True)[1].tolist())) == 1:
        yield Problem(
            "/regularization/class_weights", "no_effect", "every class has equally many training rows: balanced weights would all be 1"
        )
    if rows == 1 and _mixing_field(spec) is not None:
        yield Problem(f"/regularization/{_mixing_field(spec)}", "no_effect", "a single training row has no other to be mixed with")


def _network_problems(spec: JobSpec) -> Iterator[Problem]:
    network = spec.network
    if spec.training.batch_size == 1 and isinstance(network.normalization, BatchNormSpec):
        yield Problem(
            "/training/batch_size", "batch_norm_needs_rows", "batch_norm needs at least 2 rows in a batch; with batch_size 1 use layer_norm"
        )
    if isinstance(network, CnnSpec) or network.hidden_units:
        return
    default = MlpSpec(name="mlp")
    for field in ("activation", "normalization", "dropout"):
        if getattr(network, field) != getattr(default, field):
            yield Problem(f"/network/{field}", "no_effect", f"{field} acts on hidden layers, and hidden_units is empty")


def _following_problems(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Problem]:
    """Whoever follows a figure of the validation rows needs some, and one that the task measures."""
    following: list[tuple[str, Monitor]] = []
    if spec.early_stopping is not None:
        following.append(("/early_stopping", spec.early_stopping.monitor))
    if isinstance(spec.schedule, ReduceOnPlateauSpec):
        following.append(("/schedule", spec.schedule.monitor))
    wrong = _NUMBERS_ONLY if dataset.task == "classification" else _CLASSES_ONLY
    for pointer, monitor in following:
        if not has_validation(spec, dataset):
            yield Problem(pointer, "needs_validation", f"{monitor} needs validation rows: set split.val_fraction above 0")
        if monitor in wrong:
            yield Problem(f"{pointer}/monitor", "does_not_apply", f"{monitor} is not measured for {dataset.task}")


def _schedule_problems(spec: JobSpec) -> Iterator[Problem]:
    schedule, epochs = spec.schedule, spec.training.max_epochs
    if schedule.warmup_epochs >= epochs:
        message = f"a warm-up of {counted(schedule.warmup_epochs, 'epoch')} does not end within max_epochs = {epochs}"
        yield Problem("/schedule/warmup_epochs", "never_ends", message)
    elif not isinstance(schedule, ConstantSpec) and not moves(schedule, epochs - schedule.warmup_epochs):
        message = f"{schedule.name} would not change the learning rate within {counted(epochs, 'epoch')}"
        yield Problem("/schedule", "no_effect", message)


def _class_problems(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Problem]:
    asked = spec.regularization
    fields = {"label_smoothing": asked.label_smoothing > 0, "class_weights": asked.class_weights is not None}
    fields |= {"balanced_sampling": asked.balanced_sampling}
    if dataset.task == "regression":
        for field in (field for field, is_asked in fields.items() if is_asked):
            yield Problem(f"/regularization/{field}", "does_not_apply", f"{field} needs classes; {dataset.id} has a number as its target")
        return
    if isinstance(asked.class_weights, tuple):
        if len(asked.class_weights) != dataset.num_outputs:
            message = f"{len(asked.class_weights)} weights for {dataset.num_outputs} classes"
            yield Problem("/regularization/class_weights", "wrong_length", message)
        elif len(set(asked.class_weights)) == 1:
            yield Problem("/regularization/class_weights", "no_effect", "equal weights change nothing: they are scaled to mean 1")


def _mixing_field(spec: JobSpec) -> str | None:
    fields = ("mixup_alpha", "cutmix_alpha")
    return next((field for field in fields if getattr(spec.regularization, field) > 0), None)


def _mixing_problems(spec: JobSpec, dataset: DatasetInfo) -> Iterator[Problem]:
    asked, field = spec.regularization, _mixing_field(spec)
    if field is None:
        return
    if asked.mixup_alpha > 0 and asked.cutmix_alpha > 0:
        yield Problem("/regularization/cutmix_alpha", "excludes", "a batch is mixed once: ask for mixup_alpha or cutmix_alpha")
    if asked.cutmix_alpha > 0 and kind_of(dataset.input_shape) != "image":
        yield Problem("/regularization/cutmix_alpha", "does_not_apply", f"cutmix needs images; {dataset.id} holds {dataset.kind}s")
    if spec.training.batch_size == 1:
        yield Problem(f"/regularization/{field}", "no_effect", "with batch_size 1 a row has no other to be mixed with")


def idle_techniques(spec: JobSpec, rows: int) -> Iterator[str]:
    """Say what was adjusted, or will hardly act, though it is no error."""
    size, accumulated = spec.training.batch_size, spec.training.accumulate_batches
    if size != "full" and size > rows:
        yield f"batch_size {size} is more than the {counted(rows, 'training row')}: every batch holds all of them"
    elif accumulated > batches_per_epoch(spec, rows):
        yield f"accumulate_batches {accumulated} is more than the {batches_per_epoch(spec, rows)} batches of an epoch: each epoch is one update"
    if rows * spec.evaluation.resamples > _MANY_DRAWS:
        yield f"final intervals draw {rows} rows {spec.evaluation.resamples} times, which may take minutes: lower evaluation.resamples"
    stopping = spec.early_stopping
    if stopping is not None and stopping.patience >= spec.training.max_epochs:
        yield f"a patience of {counted(stopping.patience, 'epoch')} never runs out within {spec.training.max_epochs}: early stopping only chooses the best epoch"
