"""Update rules on columns of settings against the same rules on each fit's own numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.training.test_optimizers import ALL
from training.optimizers.build import Optimizer, build
from training.optimizers.columns import column, merged
from training.optimizers.spec import AdamSpec, OptimizerSpec

FITS, WIDTH, UPDATES = 4, 64, 6
VARIED: dict[str, list[Any]] = {
    "momentum": [0.5, 0.9, 0.3, 0.99],
    "initial_accumulator": [0.0, 0.1, 1.0, 0.01],
    "epsilon": [1e-8, 1e-3, 1e-6, 1e-10],
    "rho": [0.9, 0.5, 0.95, 0.0],
    "alpha": [0.9, 0.5, 0.99, 0.7],
    "centered": [True, False, False, True],
    "beta1": [0.9, 0.0, 0.5, 0.99],
    "beta2": [0.999, 0.9, 0.0, 0.99],
    "weight_decay": [0.0, 0.01, 1.0, 0.3],
}


def _varied(spec: OptimizerSpec, field: str | None) -> list[OptimizerSpec]:
    """Vary one setting of a rule, or all."""
    fields = [one for one in VARIED if one in type(spec).model_fields and field in {None, one}]
    return [type(spec).model_validate({**spec.model_dump(), **{one: VARIED[one][k] for one in fields}}) for k in range(FITS)]


def _setup(specs: list[OptimizerSpec]) -> tuple[Optimizer, Tensor, list[Tensor]]:
    draws = torch.Generator().manual_seed(3)
    weights = torch.randn(FITS, WIDTH, dtype=torch.float64, generator=draws)
    gradients = [torch.randn(FITS, WIDTH, dtype=torch.float64, generator=draws) for _ in range(UPDATES)]
    return build(specs, weights, (torch.arange(WIDTH) % 2).double()), weights, gradients


CASES = [(name, field) for name, spec in ALL.items() for field in (None, *VARIED) if field is None or field in type(spec).model_fields]


@pytest.mark.parametrize(("name", "field"), CASES)
def test_columns_of_settings_update_each_fit_as_its_own_numbers_do(name: str, field: str | None) -> None:
    specs, rates = _varied(ALL[name], field), [0.01, 0.1, 0.0, 0.03]
    alone, expected, gradients = _setup(specs)
    together, found, _ = _setup(specs)
    steps = torch.zeros(FITS, 1, dtype=torch.float64)
    for number, gradient in enumerate(gradients):
        rows = slice(0, FITS) if number != 1 else slice(1, 3)  # fits differ in their counts too
        alone.update(expected, gradient.clone(), rates[rows], rows)
        steps[rows] += 1
        together.update_together(found, gradient.clone(), column(rates, found.device)[rows], steps[rows], rows)
    assert alone.steps == together.steps
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    for fit in range(FITS):
        for part, row in alone.row(fit).items():
            torch.testing.assert_close(together.row(fit)[part], row, rtol=1e-12, atol=1e-12)


def test_every_setting_of_every_rule_is_varied() -> None:
    fields = {field for spec in ALL.values() for field in type(spec).model_fields}
    assert fields - {"name", "learning_rate"} == VARIED.keys()


def test_only_what_differs_becomes_a_column() -> None:
    specs = [AdamSpec(name="adam", beta1=0.8), AdamSpec(name="adam", beta1=0.9)]
    one = merged(specs, torch.device("cpu"))
    assert isinstance(one, AdamSpec)
    assert (one.name, one.beta2, one.epsilon) == ("adam", 0.999, 1e-8)
    assert torch.equal(torch.as_tensor(one.beta1), torch.tensor([[0.8], [0.9]], dtype=torch.float64))
