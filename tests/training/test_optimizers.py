"""Every optimizer against torch.optim, and against numbers worked out by hand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from api.techniques import members
from tests.training.small import a_fit
from training.loop import Stack, train
from training.optimizers.build import build
from training.optimizers.spec import (
    AdadeltaSpec,
    AdagradSpec,
    AdamSpec,
    AdamwSpec,
    MomentumSpec,
    NagSpec,
    OptimizerSpec,
    RmspropSpec,
    SgdSpec,
)
from training.records import FitOutcome

ALL: dict[str, OptimizerSpec] = {
    "sgd": SgdSpec(name="sgd", learning_rate=0.05),
    "momentum": MomentumSpec(name="momentum", learning_rate=0.02, momentum=0.8),
    "nag": NagSpec(name="nag", learning_rate=0.02, momentum=0.8),
    "adagrad": AdagradSpec(name="adagrad", learning_rate=0.05, initial_accumulator=0.1, epsilon=1e-8),
    "adadelta": AdadeltaSpec(name="adadelta", learning_rate=0.8, rho=0.85, epsilon=1e-5),
    "rmsprop": RmspropSpec(name="rmsprop", learning_rate=0.005, alpha=0.95, epsilon=1e-6),
    "rmsprop, centered, momentum": RmspropSpec(name="rmsprop", learning_rate=0.002, momentum=0.5, centered=True, epsilon=1e-3),
    "adam": AdamSpec(name="adam", learning_rate=0.01, beta1=0.85, beta2=0.99, epsilon=1e-7),
    "adamw": AdamwSpec(name="adamw", learning_rate=0.01, weight_decay=0.3),
}


def _torch_twin(spec: OptimizerSpec, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
    match spec:
        case SgdSpec():
            return torch.optim.SGD(parameters, lr=spec.learning_rate)
        case MomentumSpec():
            return torch.optim.SGD(parameters, lr=spec.learning_rate, momentum=spec.momentum)
        case NagSpec():
            return torch.optim.SGD(parameters, lr=spec.learning_rate, momentum=spec.momentum, nesterov=True)
        case AdagradSpec():
            start = spec.initial_accumulator
            return torch.optim.Adagrad(parameters, lr=spec.learning_rate, initial_accumulator_value=start, eps=spec.epsilon)
        case AdadeltaSpec():
            return torch.optim.Adadelta(parameters, lr=spec.learning_rate, rho=spec.rho, eps=spec.epsilon)
        case RmspropSpec():
            return torch.optim.RMSprop(
                parameters, lr=spec.learning_rate, alpha=spec.alpha, eps=spec.epsilon, momentum=spec.momentum, centered=spec.centered
            )
        case AdamSpec():
            return torch.optim.Adam(parameters, lr=spec.learning_rate, betas=(spec.beta1, spec.beta2), eps=spec.epsilon)
        case AdamwSpec():
            groups = [
                {"params": [one for one in parameters if one.dim() > 1], "weight_decay": spec.weight_decay},
                {"params": [one for one in parameters if one.dim() == 1], "weight_decay": 0.0},
            ]
            return torch.optim.AdamW(groups, lr=spec.learning_rate, betas=(spec.beta1, spec.beta2), eps=spec.epsilon)


def _trajectory(spec: OptimizerSpec, gradient: Any, start: float, steps: int) -> list[float]:
    """Follow one weight."""
    weights = torch.full((1, 1), start, dtype=torch.float64)
    optimizer = build([spec], weights, torch.ones(1, dtype=torch.float64))
    seen = []
    for _ in range(steps):
        optimizer.update(weights, gradient(weights), [spec.learning_rate], slice(0, 1))
        seen.append(weights.item())
    return seen


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("l2", [0.0, 0.1])
def test_fifty_steps_agree_with_torch(name: str, l2: float) -> None:
    """Full-batch training of a real network in float64: every weight within 1e-6 of torch.optim's after each of 50 steps."""
    spec = ALL[name]
    network = {"name": "mlp", "hidden_units": [16, 8], "activation": "tanh"}
    fit = a_fit(
        network=network,
        optimizer=spec.model_dump(),
        regularization={"l2": l2},
        training={"max_epochs": 50, "batch_size": "full", "precision": "float64", "kept_weights": "last"},
    )
    stack = Stack([fit])
    start = stack.weights.arrays(0)
    twin = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    ).double()
    names = [f"{layer}.{part}" for layer in ("dense1", "dense2", "output") for part in ("weight", "bias")]
    parameters = list(twin.parameters())
    with torch.no_grad():
        for parameter, key in zip(parameters, names, strict=True):
            parameter.copy_(torch.from_numpy(start[key]))
    optimizer = _torch_twin(spec, parameters)
    x, y = torch.from_numpy(fit.data.train.x).double(), torch.from_numpy(fit.data.train.y)
    outcome = None
    for event in train(stack):
        if isinstance(event, FitOutcome):
            outcome = event
            continue
        if event.epoch == 0:
            continue
        optimizer.zero_grad()
        penalty = l2 / 2 * sum((parameter**2).sum() for parameter in parameters if parameter.dim() > 1)
        objective = torch.nn.functional.cross_entropy(twin(x), y) + penalty
        objective.backward()
        assert event.objective == pytest.approx(objective.item(), abs=1e-9)
        optimizer.step()
        ours = stack.weights.arrays(0) if stack.members else None
        for parameter, key in zip(parameters, names, strict=True):
            if ours is not None:
                np.testing.assert_allclose(ours[key], parameter.detach().numpy(), rtol=0, atol=1e-6)
    assert outcome is not None
    assert outcome.weights is not None
    for parameter, key in zip(parameters, names, strict=True):
        np.testing.assert_allclose(outcome.weights[key], parameter.detach().numpy(), rtol=0, atol=1e-6)


def test_momentum_follows_the_reference_values() -> None:
    """B086: f = w^2 / 2 from 1, rate 0.1, momentum 0.9."""
    found = _trajectory(MomentumSpec(name="momentum", learning_rate=0.1, momentum=0.9), lambda w: w.clone(), 1.0, 4)
    assert found == pytest.approx([0.9, 0.72, 0.486, 0.2268], abs=1e-12)


def test_momentum_does_not_dampen_its_first_step() -> None:
    """B086: a constant gradient of 1 gives -0.1, -0.29, -0.561."""
    found = _trajectory(MomentumSpec(name="momentum", learning_rate=0.1, momentum=0.9), torch.ones_like, 0.0, 3)
    assert found == pytest.approx([-0.1, -0.29, -0.561], abs=1e-12)


def test_sgd_follows_the_reference_values() -> None:
    found = _trajectory(SgdSpec(name="sgd", learning_rate=0.1), lambda w: w.clone(), 1.0, 4)
    assert found == pytest.approx([0.9, 0.81, 0.729, 0.6561], abs=1e-12)


def test_adam_follows_the_reference_values() -> None:
    """B088: f = w^2 / 2 from 1, rate 0.1; the moments are bias-corrected from the first step."""
    found = _trajectory(AdamSpec(name="adam", learning_rate=0.1), lambda w: w.clone(), 1.0, 3)
    assert found == pytest.approx([0.9, 0.80041, 0.70159], abs=5e-6)


def test_adams_epsilon_stands_outside_the_root() -> None:
    """B088: a gradient of 1e-8 with epsilon 1e-8 moves by half the rate."""
    found = _trajectory(AdamSpec(name="adam", learning_rate=0.1, epsilon=1e-8), lambda w: torch.full_like(w, 1e-8), 0.0, 1)
    assert found == pytest.approx([-0.05], abs=1e-9)


def test_an_l2_penalty_goes_through_adams_moments() -> None:
    """B068: w = 10, gradient 1, l2 0.1, rate 0.1: the first step of Adam is the rate, so 9.9 (decoupled decay would give 9.8)."""
    found = _trajectory(AdamSpec(name="adam", learning_rate=0.1), lambda w: 1 + 0.1 * w, 10.0, 1)
    assert found == pytest.approx([9.9], abs=1e-6)


def test_each_fit_has_its_own_settings_and_step_count() -> None:
    specs: list[OptimizerSpec] = [AdamSpec(name="adam", beta1=0.5), AdamSpec(name="adam", beta1=0.9)]
    together = torch.ones(2, 64, dtype=torch.float64)
    optimizer = build(specs, together, torch.ones(64, dtype=torch.float64))
    optimizer.update(together, together.clone(), [0.1, 0.2], slice(0, 2))
    optimizer.update(together, together.clone(), [0.2], slice(1, 2))
    assert optimizer.steps == [1, 2]
    for i, (spec, rate, steps) in enumerate(zip(specs, [0.1, 0.2], [1, 2], strict=True)):
        alone = torch.ones(1, 64, dtype=torch.float64)
        single = build([spec], alone, torch.ones(64, dtype=torch.float64))
        for _ in range(steps):
            single.update(alone, alone.clone(), [rate], slice(0, 1))
        assert torch.equal(together[i], alone[0])


def test_every_optimizer_is_tested_against_torch() -> None:
    assert {spec.name for spec in ALL.values()} == {one.model_fields["name"].annotation.__args__[0] for one in members(OptimizerSpec)}


def test_nag_follows_the_reference_values() -> None:
    """B087: f = w^2 / 2 from 1, rate 0.1, momentum 0.9, in PyTorch's form."""
    found = _trajectory(NagSpec(name="nag", learning_rate=0.1, momentum=0.9), lambda w: w.clone(), 1.0, 4)
    assert found == pytest.approx([0.81, 0.5751, 0.327321, 0.093888], abs=1e-6)


def test_nag_without_momentum_is_refused() -> None:
    """B087."""
    with pytest.raises(ValidationError):
        NagSpec(name="nag", momentum=0)


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (0.0, [-0.1, -0.170711, -0.228446, -0.278446]),
        (0.1, [-0.095346]),
        (1.0, [-0.070711]),
    ],
)
def test_adagrad_follows_the_reference_values(start: float, expected: list[float]) -> None:
    """B090: a constant gradient of 1, rate 0.1; the accumulator starts at 0 unless asked."""
    spec = AdagradSpec(name="adagrad", learning_rate=0.1, initial_accumulator=start)
    assert _trajectory(spec, torch.ones_like, 0.0, len(expected)) == pytest.approx(expected, abs=1e-6)
    assert AdagradSpec(name="adagrad").initial_accumulator == 0


@pytest.mark.parametrize(("rate", "factor"), [(1.0, 1.0), (0.5, 0.5)])
def test_adadelta_follows_the_reference_values(rate: float, factor: float) -> None:
    """B046: a constant gradient of 1; half the rate is exactly half the way, for the accumulator is fed without it."""
    found = _trajectory(AdadeltaSpec(name="adadelta", learning_rate=rate), torch.ones_like, 0.0, 3)
    assert found == pytest.approx([factor * one for one in (-0.0031623, -0.0064067, -0.0097075)], abs=1e-7)
    assert AdadeltaSpec(name="adadelta").learning_rate == 1


@pytest.mark.parametrize(
    ("fields", "first"),
    [
        ({"alpha": 0.99}, 1.0),
        ({"alpha": 0.9}, 0.31623),
        ({"alpha": 0.99, "epsilon": 1.0}, 0.0909091),
        ({"alpha": 0.99, "centered": True}, 1.0050378),
    ],
)
def test_rmsprop_follows_the_reference_values(fields: dict[str, Any], first: float) -> None:
    """B089: gradient 1, rate 0.1; epsilon stands outside the root."""
    spec = RmspropSpec.model_validate({"name": "rmsprop", "learning_rate": 0.1, **fields})
    assert -_trajectory(spec, torch.ones_like, 0.0, 1)[0] == pytest.approx(first, abs=1e-5)


def test_centered_rmsprop_stays_finite_under_a_constant_gradient() -> None:
    """B089: its variance tends to 0, and rounding must not make it negative."""
    spec = RmspropSpec(name="rmsprop", learning_rate=0.1, alpha=0.99, centered=True)
    found = _trajectory(spec, torch.ones_like, 0.0, 3000)
    assert -found[1] == pytest.approx(1.7210793, abs=1e-6)
    assert all(math.isfinite(one) for one in found)


def test_decoupled_decay_acts_on_weights_alone_and_not_through_the_moments() -> None:
    """B016, B068: w = 10, gradient 1, decay 1, rate 0.1: 10 (1 - 0.1) - 0.1 = 8.9; where nothing decays 9.9."""
    weights = torch.full((1, 2), 10.0, dtype=torch.float64)
    optimizer = build([AdamwSpec(name="adamw", weight_decay=1.0)], weights, torch.tensor([1.0, 0.0], dtype=torch.float64))
    optimizer.update(weights, torch.ones_like(weights), [0.1], slice(0, 1))
    assert weights[0].tolist() == pytest.approx([8.9, 9.9], abs=1e-6)
