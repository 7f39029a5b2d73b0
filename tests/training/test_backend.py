"""What multiplies matrices: as exact as float32, one for a fit and its stack, and left as it was found."""

from typing import Any

import pytest
import torch
from pydantic import TypeAdapter

from models.build import build
from models.spec import NetworkSpec
from tests.training.small import a_fit, figures, run
from training import backend
from training.backend import Products, error_of, large_products, multiplying, products_of
from training.loop import Stack, train

_SPECS: TypeAdapter[Any] = TypeAdapter(NetworkSpec)
_CPU = torch.device("cpu")


def _setting() -> str:
    return str(torch.backends.mkldnn.matmul.fp32_precision)


def test_products_of_this_cpu_are_as_exact_as_float32s() -> None:
    """A sum of 512 products of 24 bits; with bfloat16's 8 bits the error would be 1e-3. Others are refused by `large_products` itself."""
    assert error_of("default") < 2e-6


@pytest.mark.parametrize(
    ("flags", "error", "expected"),
    [
        ({}, 1e-7, "onednn"),
        ({"cpu_name": "Intel Xeon"}, 1e-7, "default"),
        ({"avx512_bw": False}, 1e-7, "default"),
        ({"amx_bf16": True}, 1e-7, "default"),
        ({}, 1e-3, "default"),
    ],
)
def test_onednn_multiplies_only_where_it_is_faster_and_exact(
    flags: dict[str, Any], error: float, expected: Products, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu = {"cpu_name": "AMD EPYC", "avx512_f": True, "avx512_bw": True, "avx512_vl": True, "avx512_dq": True, "amx_bf16": False, **flags}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
    monkeypatch.setattr(backend, "error_of", lambda _: error)
    assert large_products.__wrapped__() == expected


@pytest.mark.parametrize(
    ("network", "shape", "dtype", "is_large"),
    [
        ({"name": "mlp", "hidden_units": [256, 128]}, (784,), torch.float32, True),
        ({"name": "mlp", "hidden_units": [256, 128]}, (784,), torch.float64, False),
        ({"name": "mlp", "hidden_units": [128, 64]}, (64,), torch.float32, False),
        ({"name": "cnn"}, (1, 28, 28), torch.float32, False),
        ({"name": "cnn", "hidden_units": [64]}, (1, 28, 28), torch.float32, True),
    ],
)
def test_large_dense_layers_in_float32_take_what_is_fast_there(
    network: dict[str, Any], shape: tuple[int, ...], dtype: torch.dtype, *, is_large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "large_products", lambda: "onednn")
    built = build(_SPECS.validate_python(network), shape, 10)
    assert products_of(built, dtype, _CPU) == ("onednn" if is_large else "default")


def test_a_large_fit_in_a_stack_is_the_fit_alone() -> None:
    network = {"name": "mlp", "hidden_units": [256, 64]}
    fits = [a_fit(number=k, seed=k, shape=(256,), train_rows=75, network=network, training={"max_epochs": 3}) for k in (1, 2, 3)]
    curves, _ = run(*fits)
    assert all(figures(curves[fit.number]) == figures(run(fit)[0][fit.number]) for fit in fits)


def test_what_multiplies_is_set_back_whatever_happens() -> None:
    before = _setting()
    with pytest.raises(KeyError), multiplying("onednn"):
        raise KeyError(_setting())
    assert _setting() == before


def test_training_leaves_what_multiplies_to_its_caller_between_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "large_products", lambda: "onednn")
    fit = a_fit(shape=(256,), network={"name": "mlp", "hidden_units": [256]}, training={"max_epochs": 1})
    before, seen = _setting(), []
    train_epoch = Stack.train_epoch

    def watched(stack: Stack, number: int) -> object:
        seen.append(_setting())
        return train_epoch(stack, number)

    monkeypatch.setattr(Stack, "train_epoch", watched)
    assert all(_setting() == before for _ in train(Stack([fit])))
    assert seen == ["bf16"]
