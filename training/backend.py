"""Which library multiplies the matrices of dense layers: a fixed rule of the CPU and the network, so that a fit has one from its first epoch to its last.

torch takes MKL. On AMD's CPUs with AVX-512 MKL keeps to narrower vectors, and oneDNN is twice as fast for large layers (for
small ones it is slower, for it plans each call anew). torch hands float32 products to oneDNN only where it may lower their
precision, which oneDNN can on CPUs with bfloat16 tiles: so the rule asks the CPU, and then looks whether products really are
as exact as float32's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch

from models.base import Network
from training.weights import Weights

Products = Literal["default", "onednn"]

_LARGE = 2**16
"""Weights of a dense layer from which oneDNN is faster: 784 to 256 is, 64 to 128 is not."""
_FLAGS = ("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq")
_ROUNDING = 2e-6
"""The largest error of float32 products over 512 terms, relative to the largest product; with bfloat16 terms it is a thousand times that."""


@cache
def large_products() -> Products:
    """Tell what multiplies large matrices on this CPU."""
    capabilities = torch.cpu.get_capabilities()
    is_amd = str(capabilities.get("cpu_name", "")).startswith("AMD")
    has_tiles = any(value for name, value in capabilities.items() if name.startswith("amx"))
    if not is_amd or has_tiles or not all(capabilities.get(flag) for flag in _FLAGS):
        return "default"
    return "onednn" if error_of("onednn") < _ROUNDING else "default"


def products_of(network: Network, dtype: torch.dtype, device: torch.device) -> Products:
    """Tell what multiplies the matrices of fits of `network`, alone and in a stack."""
    if device.type != "cpu" or dtype != torch.float32:
        return "default"
    largest = max((one.shape[0] * one.shape[1] for one in network.parameters if len(one.shape) == 2), default=0)
    return large_products() if largest >= _LARGE else "default"


@contextmanager
def multiplying(products: Products) -> Iterator[None]:
    """Multiply by `products` in this process, until the block ends."""
    if products == "default":
        yield
        return
    setting = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # put there by a module that replaces itself
    before = setting.fp32_precision
    setting.fp32_precision = "bf16"  # what may be lowered; without tiles nothing is
    try:
        yield
    finally:
        setting.fp32_precision = before


@contextmanager
def backend_of(weights: Weights) -> Iterator[None]:
    """Multiply as fits with these weights do."""
    with multiplying(products_of(weights.network, weights.parameters.dtype, weights.parameters.device)):
        yield


def error_of(products: Products) -> float:
    """Give the largest error of a product of float32 matrices against float64, relative to its largest value."""
    source = torch.Generator().manual_seed(0)
    a, b = torch.randn(128, 512, generator=source), torch.randn(512, 256, generator=source)
    exact = a.double() @ b.double()
    with multiplying(products):
        found = a @ b
    return float((found.double() - exact).abs().max() / exact.abs().max())
