"""The path for devices, run on CPU tensors: the same numbers as on the CPU's own path, and nothing read within an epoch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.training.small import a_fit, figures
from tests.training.test_optimizers import ALL
from tests.training.test_stacking import AUGMENTATIONS, CNN, INPUTS, MLP, NORMALIZATIONS, REGULARIZERS
from training import inputs
from training.device_draws import AheadDraws
from training.device_stepping import DeviceStepper
from training.draws import EpochDraws
from training.environment import use_full_precision
from training.loop import Stack, train
from training.records import EpochRecord, Fit, FitOutcome, StopReason
from training.stepping import Stepper

_aten = torch.ops.aten
_READS = {_aten._local_scalar_dense.default, _aten.is_nonzero.default, _aten.equal.default, _aten.masked_select.default}
_SHAPED_BY_VALUES = {_aten.nonzero.default, _aten.unique_dim.default, _aten._unique2.default}
DIFFERENT: dict[str, list[dict[str, Any]]] = {
    "sgd": [{}],
    "momentum": [{"momentum": 0.5}, {"momentum": 0.9}],
    "nag": [{"momentum": 0.5}, {"momentum": 0.9}],
    "adagrad": [{"epsilon": 1e-6}, {"initial_accumulator": 0.1}],
    "adadelta": [{"rho": 0.8}, {"epsilon": 1e-4}],
    "rmsprop": [{"alpha": 0.8}, {"centered": True, "epsilon": 1e-3}, {"momentum": 0.5}],
    "adam": [{"beta1": 0.8}, {"beta2": 0.9}, {"epsilon": 1e-4}],
    "adamw": [{"weight_decay": 0.3}, {"beta1": 0.8, "weight_decay": 0}],
}


class _Reads(TorchDispatchMode):
    """Raises where a step reads a number, or makes a tensor whose shape depends on numbers: on a device it would wait."""

    def __init__(self, *, allows_drawn_places: bool = False) -> None:
        super().__init__()
        self._refused = _READS if allows_drawn_places else _READS | _SHAPED_BY_VALUES

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        assert func not in self._refused, f"{func} waits for the device"
        if func in {_aten.index.Tensor, _aten.index_put_.default}:
            assert all(one is None or one.dtype != torch.bool for one in args[1]), "a boolean index waits for the device"
        return func(*args, **(kwargs or {}))


def _trained(fits: Sequence[Fit], steps: type[Stepper]) -> tuple[dict[int, list[EpochRecord]], dict[int, FitOutcome]]:
    curves: dict[int, list[EpochRecord]] = {fit.number: [] for fit in fits}
    outcomes = {}
    for event in train(Stack(fits, steps=steps)):
        if isinstance(event, EpochRecord):
            curves[event.fit].append(event)
        else:
            outcomes[event.fit] = event
    return curves, outcomes


def _exact(fits: Sequence[Fit]) -> list[Fit]:
    """Ask for float64."""
    return [
        replace(fit, spec=fit.spec.model_copy(update={"training": fit.spec.training.model_copy(update={"precision": "float64"})}))
        for fit in fits
    ]


def _assert_close(found: list[EpochRecord], expected: list[EpochRecord]) -> None:
    """Compare curves; where a figure is None both are."""
    assert len(found) == len(expected)
    for ours, theirs in zip(figures(found), figures(expected), strict=True):
        assert [one is None for one in ours] == [one is None for one in theirs]
        assert [one for one in ours if one is not None] == pytest.approx([one for one in theirs if one is not None], rel=1e-9, abs=1e-12)


def _assert_same(fits: Sequence[Fit]) -> dict[int, FitOutcome]:
    """Train on both paths, in float64; give the outcomes."""
    exact = _exact(fits)
    expected, ends = _trained(exact, Stepper)
    found, outcomes = _trained(exact, DeviceStepper)
    for number, curve in expected.items():
        _assert_close(found[number], curve)
        end, outcome = ends[number], outcomes[number]
        assert (outcome.stop_reason, outcome.message, outcome.best_epoch, outcome.kept_epoch) == (
            end.stop_reason,
            end.message,
            end.best_epoch,
            end.kept_epoch,
        )
    return outcomes


def _five(name: str, **fields: Any) -> list[Fit]:
    """Five fits of one optimizer that differ in everything that may differ: rows, seeds, rates, settings, penalties, dropout."""
    settings = DIFFERENT[name]
    return [
        a_fit(
            number=k + 1,
            seed=k,
            train_rows=[75, 75, 96, 60, 33][k],
            val_rows=[40, 40, 31, 40, 40][k],
            network={**MLP, "dropout": [0.0, 0.2, 0.2, 0.5, 0.1][k], "normalization": {"name": "batch_norm"}},
            optimizer={"name": name, "learning_rate": 0.01 * (k + 1), **settings[k % len(settings)]},
            schedule={"name": "cosine"} if k == 3 else {"name": "constant"},
            regularization=[
                {},
                {"l2": 0.01, "label_smoothing": 0.1},
                {"l1": 0.01, "weight_noise": 0.02, "class_weights": [1, 2, 3]},
                {"max_norm": 0.8, "mixup_alpha": 0.3, "balanced_sampling": True},
                {"l1": 0.001, "l2": 0.1, "input_noise": 0.1},
            ][k],
            training={"max_epochs": [5, 5, 3, 5, 5][k], "gradient_clip_norm": [None, 0.5, None, 2.0, None][k], "batch_size": 32},
            early_stopping={"patience": 2} if k == 1 else None,
            **fields,
        )
        for k in range(5)
    ]


@pytest.mark.parametrize("name", DIFFERENT)
def test_five_different_fits_of_any_optimizer_have_the_curves_of_the_cpu(name: str) -> None:
    _assert_same(_five(name))


def test_every_optimizer_is_trained_here() -> None:
    assert DIFFERENT.keys() == {spec.name for spec in ALL.values()}


@pytest.mark.parametrize("batch_size", [1, 7, 20, "full"])
@pytest.mark.parametrize("accumulate", [1, 3])
def test_every_size_of_batches_and_updates_has_the_curve_of_the_cpu(batch_size: int | str, accumulate: int) -> None:
    fits = [
        a_fit(
            number=k,
            seed=k,
            train_rows=[50, 50, 37][k],
            network=MLP,
            optimizer={"name": "adam", "learning_rate": 0.01 * (k + 1)},
            training={"max_epochs": 3, "batch_size": batch_size, "accumulate_batches": accumulate},
        )
        for k in range(3)
    ]
    _assert_same(fits)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("network", [MLP, CNN], ids=["mlp", "cnn"])
def test_every_normalization_has_the_curve_of_the_cpu(network: dict[str, Any], normalization: str) -> None:
    if network is MLP and normalization == "instance_norm":
        normalization = "none"  # dense outputs have no positions
    _assert_same(
        [
            a_fit(
                number=k,
                seed=k,
                shape=(1, 8, 8),
                train_rows=[45, 45, 40][k],
                network={**network, "dropout": 0.2 * k, "normalization": NORMALIZATIONS[normalization]},
                training={"max_epochs": 3},
            )
            for k in range(3)
        ]
    )


def _regularized(name: str, **fields: Any) -> list[Fit]:
    is_kind = "ema_decay" in REGULARIZERS[name]
    return [
        a_fit(
            number=k,
            seed=k,
            shape=(1, 8, 8),
            train_rows=[75, 75, 60][k],
            network={**MLP, "dropout": 0.1, "normalization": {"name": "batch_norm"}},
            optimizer={"name": "adam", "learning_rate": 0.002 * (k + 1)},
            regularization=REGULARIZERS[name] if k != 1 or is_kind else {},
            training={"max_epochs": 3, "batch_size": 20, "gradient_clip_norm": 1.0},
            **fields,
        )
        for k in range(3)
    ]


@pytest.mark.parametrize("name", REGULARIZERS)
def test_every_regularizer_has_the_curve_of_the_cpu(name: str) -> None:
    _assert_same(_regularized(name))


def _stepper(stack: Stack) -> DeviceStepper:
    return DeviceStepper(stack.members, stack.weights, stack._optimizer, stack._penalties, stack._average)


@pytest.mark.parametrize("fits", [*map(_five, DIFFERENT), *map(_regularized, REGULARIZERS)], ids=[*DIFFERENT, *REGULARIZERS])
def test_an_epoch_can_be_asked_of_a_device_that_has_no_numbers(fits: list[Fit]) -> None:
    """Tensors of `meta` have shapes alone: what reads one fails, and so do many operations on a tensor that was not sent there."""
    tally = _stepper(Stack(fits, "meta")).queue_epoch(1)
    with pytest.raises((NotImplementedError, RuntimeError)):
        tally.read()


@pytest.mark.parametrize("name", REGULARIZERS)
def test_no_number_is_read_within_an_epoch_of_any_regularizer(name: str) -> None:
    stack = Stack(_regularized(name))
    stepper = _stepper(stack)
    has_augmentations = "augmentations" in REGULARIZERS[name]  # rows to change are drawn and found on the CPU
    with _Reads(allows_drawn_places=has_augmentations):
        stepper.queue_epoch(1)


@pytest.mark.parametrize("name", DIFFERENT)
def test_no_number_is_read_within_an_epoch_of_any_optimizer(name: str) -> None:
    stack = Stack(_five(name))
    stepper = _stepper(stack)
    with _Reads():
        tally = stepper.queue_epoch(1)
    assert all(is_alive for _, _, is_alive, _ in tally.read())


@pytest.mark.parametrize(("kind", "augmentation"), [(kind, one) for kind, listed in AUGMENTATIONS.items() for one in listed], ids=str)
def test_no_augmentation_needs_numbers_of_the_device(kind: str, augmentation: dict[str, Any]) -> None:
    network = {"name": "cnn", "blocks": [{"channels": 4, "pool": 2}], "normalization": {"name": "batch_norm"}, "dropout": 0.1}
    fit = a_fit(shape=INPUTS[kind], train_rows=40, network=network, regularization={"augmentations": [{**augmentation, "p": 0.5}]})
    _stepper(Stack([fit], "meta")).queue_epoch(1)


class _Counted(TorchDispatchMode):
    """Counts operations that a device would be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        del types
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def test_steps_of_many_dense_fits_ask_for_as_many_operations_as_steps_of_few() -> None:
    """Ten steps an epoch: what grows with the fits grows by the epoch, to put their rows into order, not by the step."""
    counts = []
    for number in (2, 40):
        fits = [
            a_fit(
                number=k,
                seed=k,
                train_rows=320,
                shape=(64,),
                network={"name": "mlp", "hidden_units": [128, 64]},
                optimizer={"name": "adam", "learning_rate": 0.001 * (k + 1)},
                regularization={"l2": 0.01 * k, "max_norm": 1.0 + k},
                training={"gradient_clip_norm": 1.0 + k},
            )
            for k in range(number)
        ]
        stepper = _stepper(Stack(fits, "meta"))
        with _Counted() as counted:
            stepper.queue_epoch(1)
        counts.append(counted.count)
    assert counts[1] - counts[0] <= 38 * 4


def test_the_path_for_cpus_is_found_reading() -> None:
    """The probe of the tests above finds what it is for. Smoothed labels are differentiated by autograd: inference mode hides reads from it."""
    stack = Stack([a_fit(network=MLP, regularization={"l2": 0.1, "label_smoothing": 0.1})])
    with pytest.raises(AssertionError, match="waits for the device"), _Reads():
        stack.train_epoch(1)


@pytest.mark.parametrize("most_bytes", [0, 4_000, 1e9])
def test_draws_ahead_are_those_of_the_batches(most_bytes: float) -> None:
    fits = [
        a_fit(number=k, seed=k, train_rows=50 + k, network={**MLP, "dropout": [0.3, 0.0, 0.5][k]}, training={"batch_size": 20})
        for k in range(3)
    ]
    stack = Stack(fits)
    ahead = AheadDraws(stack.members, 4, torch.float32, torch.device("cpu"), most_bytes)
    drawn = EpochDraws([fit.seed for fit in fits], 4, torch.float32, torch.device("cpu"))
    for step in range(3):
        for k, member in enumerate(stack.members):
            count, p = len(member.slots[step]), fits[k].spec.network.dropout
            for layer, width in (("dropout1", 32), ("dropout2", 5)):
                assert torch.equal(ahead.mask(k, layer, (count, width), p), drawn.mask(k, layer, (count, width), p))
            for purpose, shape in (("input_noise", (count, 6)), ("weight_noise", (704,))):
                assert torch.equal(ahead.normals(k, purpose, shape), drawn.normals(k, purpose, shape))


@pytest.mark.parametrize("room", [0.0, 1e9])
def test_the_curve_does_not_depend_on_what_fits_into_memory(room: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_ARRANGED_BYTES", room)
    _assert_same(_five("adam"))


def _diverging(**fields: Any) -> list[Fit]:
    """Numbers under a rate of 1e200 overflow; the neighbours stay."""
    return [
        a_fit(
            number=k,
            seed=k,
            classes=None,
            train_rows=70,
            network=MLP,
            optimizer={"name": "momentum", "learning_rate": 1e200 if k == 2 else 0.01},
            **fields,
        )
        for k in (1, 2, 3)
    ]


@pytest.mark.parametrize("regularization", [{}, {"l2": 0.1}, {"l1": 0.1, "max_norm": 1e300}, {"ema_decay": 0.9}], ids=str)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_fit_that_diverges_ends_at_the_same_update_with_the_same_message(regularization: dict[str, Any], accumulate: int) -> None:
    outcomes = _assert_same(
        _diverging(regularization=regularization, training={"max_epochs": 4, "batch_size": 8, "accumulate_batches": accumulate})
    )
    assert [outcomes[k].stop_reason for k in (1, 2, 3)] == [StopReason.MAX_EPOCHS, StopReason.DIVERGED, StopReason.MAX_EPOCHS]


@pytest.mark.parametrize("name", DIFFERENT)
@pytest.mark.parametrize("regularization", [{}, {"l2": 0.1, "max_norm": 0.5, "ema_decay": 0.9, "weight_noise": 0.1}], ids=["plain", "all"])
def test_a_dead_fit_has_what_it_had_before_the_bad_batch(name: str, regularization: dict[str, Any]) -> None:
    """From its third update on its rows are not finite: weights, running statistics and average are those after two."""
    fits = [
        a_fit(
            number=k,
            seed=k,
            train_rows=80,
            network={**MLP, "normalization": {"name": "batch_norm"}},
            optimizer={"name": name, "learning_rate": 0.01 * k},
            regularization=regularization,
            training={"batch_size": 16},
        )
        for k in (1, 2, 3)
    ]
    stack, short = Stack(fits, steps=DeviceStepper), Stack(fits, steps=DeviceStepper)
    for one in (stack, short):
        order = inputs.order_of(one.members[1], 1)
        part = one.members[1].train
        x = part.x.clone()
        x[order[32:]] = torch.nan
        one.members[1].train = replace(part, x=x)
        for member in one.members:
            member.slots = member.slots if one is stack else member.slots[:2]
    tallies = stack.train_epoch(1)
    short.train_epoch(1)
    assert [tally.steps for tally in tallies] == [5, 2, 5]
    assert stack.members[1].message == "the objective was no longer finite in epoch 1, update 3"
    assert short.members[1].ended is None
    pairs = [(stack.weights.parameters, short.weights.parameters), (stack.weights.buffers, short.weights.buffers)]
    if stack._average is not None and short._average is not None:
        pairs += [
            (stack.measured.parameters, short.measured.parameters),
            (stack.measured.buffers, short.measured.buffers),
        ]
        assert stack._average.updates == [5, 2, 5]
    for left, right in pairs:
        assert torch.isfinite(left).all()
        assert torch.equal(left[1], right[1])
        assert not torch.equal(left[0], right[0])


def test_a_gradient_that_is_not_finite_is_named() -> None:
    stack = Stack(_diverging(training={"batch_size": 35}), steps=DeviceStepper)
    tally = _stepper(stack).queue_epoch(1)
    tally.alive.fill_(value=True)
    tally.by_gradient.zero_()
    gradient = torch.zeros(3, 8)
    gradient[1, 3] = torch.inf
    tally.objective.copy_(torch.tensor([1.0, 2.0, torch.nan]))
    assert tally.check(slice(0, 3), gradient).squeeze(1).tolist() == [True, False, False]
    assert [by for _, _, _, by in tally.read()] == [False, True, False]


def test_a_checkpoint_of_one_path_goes_on_on_the_other() -> None:
    fits = _exact(_regularized("ema_decay"))
    curves, _ = _trained(fits, Stepper)
    for first, then in ((Stepper, DeviceStepper), (DeviceStepper, Stepper)):
        stack = Stack(fits, steps=first)
        kept: dict[int, bytes] = {}
        for event in train(stack):
            if isinstance(event, EpochRecord) and event.epoch == 1 and stack.is_between_epochs:
                kept = stack.checkpoint()
                break
        again = Stack(fits, steps=then)
        again.restore(kept)
        last = [event for event in train(again) if isinstance(event, EpochRecord)]
        for number, curve in curves.items():
            _assert_close([event for event in last if event.fit == number], curve[2:])


def test_float32_products_are_not_rounded_further() -> None:
    use_full_precision()
    assert torch.backends.cuda.matmul.fp32_precision == "ieee"
    assert torch.backends.cudnn.conv.fp32_precision == "ieee"
