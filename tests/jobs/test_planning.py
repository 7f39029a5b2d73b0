"""Which fits share a stack follows from spec and shapes."""

import pytest

from data import builtin
from jobs.planning import stack_size
from tests.plans import resolved

DIGITS = builtin.load("digits")
CNN = {"name": "cnn", "blocks": [{"channels": 4}]}
LARGE = {"name": "mlp", "hidden_units": [4096, 4096]}


def _size(device: str, **fields: object) -> int:
    return stack_size(resolved(DIGITS, device=device, **fields).first_round.fits[0])


@pytest.mark.parametrize("network", [{"name": "mlp"}, LARGE, CNN], ids=["small", "large", "cnn"])
def test_who_may_be_trained_on_a_cpu_is_planned_for_one(network: dict[str, object]) -> None:
    assert _size("auto", network=network) == _size("cpu", network=network)


def test_jobs_for_a_gpu_have_larger_stacks() -> None:
    assert _size("cuda") > 4 * _size("cpu")
    assert 1 <= _size("cuda", network=LARGE) < _size("cuda")
    assert _size("cuda", network=CNN) == 1
