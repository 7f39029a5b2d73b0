"""Learning rates by hand and against torch's schedulers."""

import warnings
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from tests.training.small import a_fit, run
from training.schedules.build import Schedule, moves
from training.schedules.spec import ScheduleSpec

_SPECS: TypeAdapter[Any] = TypeAdapter(ScheduleSpec)


def _rates(fields: dict[str, Any], epochs: int, base: float = 0.1) -> list[float]:
    schedule = Schedule(_SPECS.validate_python(fields), base, epochs)
    return [schedule.rate(epoch) for epoch in range(1, epochs + 1)]


def test_step_reduces_after_every_second_epoch() -> None:
    """B045: the first epochs use the whole rate."""
    assert _rates({"name": "step", "every": 2, "factor": 0.5}, 6) == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


@pytest.mark.parametrize("batch_size", [4, 32, "full"])
def test_the_stored_rate_is_the_one_that_was_used_whatever_the_batches(batch_size: int | str) -> None:
    """B045."""
    schedule = {"name": "step", "every": 2, "factor": 0.5}
    fit = a_fit(schedule=schedule, optimizer={"name": "sgd", "learning_rate": 0.1}, training={"max_epochs": 6, "batch_size": batch_size})
    [curve] = run(fit)[0].values()
    assert [record.learning_rate for record in curve] == [None, *map(pytest.approx, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025])]


@pytest.mark.parametrize("name", ["exponential", "cosine", "step"])
def test_schedules_agree_with_torch(name: str) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    lr = torch.optim.lr_scheduler
    twin: Any = {
        "exponential": lambda: lr.ExponentialLR(optimizer, 0.9),
        "cosine": lambda: lr.CosineAnnealingLR(optimizer, 12),
        "step": lambda: lr.StepLR(optimizer, 3, 0.3),
    }[name]()
    fields = {"exponential": {"factor": 0.9}, "cosine": {}, "step": {"every": 3, "factor": 0.3}}[name]
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(12):
            expected.append(optimizer.param_groups[0]["lr"])
            twin.step()
    assert _rates({"name": name, **fields}, 12) == pytest.approx(expected, rel=1e-9)


def test_one_cycle_rises_to_the_rate_and_falls() -> None:
    rates = _rates({"name": "one_cycle", "peak": 0.5, "start_factor": 0.1, "final_factor": 0.0}, 5)
    assert rates == pytest.approx([0.01, 0.055, 0.1, 0.05, 0.0], abs=1e-12)


def test_a_warm_up_is_linear_and_comes_before_everything() -> None:
    assert _rates({"name": "constant", "warmup_epochs": 3}, 6) == pytest.approx([0.025, 0.05, 0.075, 0.1, 0.1, 0.1])
    assert _rates({"name": "step", "every": 1, "factor": 0.1, "warmup_epochs": 1}, 4) == pytest.approx([0.05, 0.1, 0.01, 0.001])


@pytest.mark.parametrize(
    ("monitor", "values", "reductions"),
    [
        ("val_loss", [1.0, 0.9, 0.9, 0.9, 0.9, 0.9], [0, 0, 0, 1, 1, 2]),
        ("val_accuracy", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 0, 0, 0, 0]),
        ("val_loss", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0, 0, 1, 1, 2, 2]),
    ],
)
def test_a_plateau_is_seen_in_the_monitors_own_direction(monitor: str, values: list[float], reductions: list[int]) -> None:
    """B045: an accuracy that rises is no plateau."""
    schedule = Schedule(_SPECS.validate_python({"name": "reduce_on_plateau", "monitor": monitor, "patience": 2}), 1.0, 10)
    found = []
    for epoch, value in enumerate(values):
        schedule.see(epoch, value)
        found.append(schedule.reductions)
    assert found == reductions
    assert schedule.rate(9) == pytest.approx(0.1 ** reductions[-1])


def test_a_schedule_that_cannot_act_is_known_at_submit() -> None:
    for fields in ({"name": "step", "every": 10}, {"name": "reduce_on_plateau", "patience": 10}, {"name": "constant"}):
        assert not moves(_SPECS.validate_python(fields), 10)
        assert fields["name"] == "constant" or moves(_SPECS.validate_python(fields), 11)
