"""How kernels lie in memory: with their channels last, and as ever for whoever reads or writes them by name. Folded batch norm."""

import itertools
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor

from models.base import Segments
from models.build import build
from models.cnn import Cnn
from models.initializers.build import initial
from models.spec import NetworkSpec
from tests.training.small import a_fit
from training.export import load_safetensors
from training.loop import Stack, train
from training.seeding import generator
from training.weights import Weights

_SPECS: TypeAdapter[Any] = TypeAdapter(NetworkSpec)
BATCH_NORM = {"name": "batch_norm"}
NORMALIZATIONS: list[dict[str, Any] | None] = [None, BATCH_NORM, {"name": "layer_norm"}, {"name": "instance_norm"}]
SHAPES = [(3, 12), (3, 7, 8), (3, 5, 6, 4)]
RESIDUAL = [{"channels": 4, "pool": 2}, {"channels": 5, "residual": True}]


def _drawn(shape: tuple[int, ...], dtype: torch.dtype = torch.float64, fits: int = 1, **fields: Any) -> tuple[Any, Weights]:
    spec = _SPECS.validate_python({"name": "cnn", "blocks": RESIDUAL, **fields})
    network = build(spec, shape, 3)
    return spec, Weights.drawn(network, [spec] * fits, list(range(fits)), dtype, torch.device("cpu"))


@pytest.mark.parametrize(("shape", "normalization"), list(itertools.product(SHAPES, NORMALIZATIONS)))
def test_drawn_and_exported_kernels_are_what_the_seed_draws_for_their_names(
    shape: tuple[int, ...], normalization: dict[str, Any] | None
) -> None:
    spec, weights = _drawn(shape, normalization=normalization)
    arrays = weights.arrays(0)
    for parameter in weights.network.parameters:
        values = initial(spec.initializer, parameter, generator(0, "initial", parameter.name))
        assert arrays[parameter.name].flags.c_contiguous
        assert torch.equal(torch.from_numpy(arrays[parameter.name]), values)


def test_kernels_and_their_gradients_are_views_with_channels_last() -> None:
    _, weights = _drawn((3, 7, 8))
    run = weights.run(slice(0, 1), 32)
    kernel = run.single[0]["conv2.weight"]
    assert kernel.is_contiguous(memory_format=torch.channels_last)
    assert kernel.grad is not None
    assert kernel.grad.stride() == kernel.stride()
    assert kernel.untyped_storage().data_ptr() == weights.parameters.untyped_storage().data_ptr()
    assert kernel.grad.untyped_storage().data_ptr() == weights.gradient.untyped_storage().data_ptr()


def test_layer_norm_keeps_channels_first() -> None:
    _, weights = _drawn((3, 7, 8), normalization={"name": "layer_norm"})
    assert not weights.layout.channels_last
    assert weights.run(slice(0, 1), 32).single[0]["conv2.weight"].is_contiguous()


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_in_the_usual_order_has_every_tensor_as_its_name_reads(shape: tuple[int, ...]) -> None:
    _, weights = _drawn(shape)
    layout, row = weights.layout, torch.randn(weights.layout.width)
    usual = layout.usual(row)
    plain = Segments(offsets=layout.offsets, width=layout.width)
    for name in layout.offsets:
        assert torch.equal(plain.view(usual.unsqueeze(0), name), layout.view(row.unsqueeze(0), name))
    assert not torch.equal(usual, row)
    assert torch.equal(layout.stored(usual), row)


def test_a_checkpoint_does_not_know_how_rows_are_stored() -> None:
    fit = a_fit(shape=(3, 6, 6), train_rows=40, network={"name": "cnn", "blocks": RESIDUAL}, training={"max_epochs": 3, "batch_size": 20})
    stack = Stack([fit])
    contents = [stack.checkpoint()[1] for _ in train(stack) if stack.is_between_epochs]
    found = load_safetensors(contents[1])
    again = Stack([fit])
    again.restore({1: contents[1]})
    layout = again.weights.layout
    plain = Segments(offsets=layout.offsets, width=layout.width)
    written = torch.from_numpy(found["parameters"]).unsqueeze(0)
    for name, array in again.weights.arrays(0).items():
        if name in layout.offsets:
            assert torch.equal(plain.view(written, name)[0], torch.from_numpy(array))
    assert {"parameters", "buffers", "optimizer.mean", "optimizer.square", "best.parameters"} <= found.keys()
    assert again.checkpoint()[1] == contents[1]


def _moved(weights: Weights) -> None:
    """Let every number of batch norm matter."""
    source = torch.Generator().manual_seed(3)
    for views in (weights.layout.views(weights.parameters), weights.buffer_layout.views(weights.buffers)):
        for name, view in views.items():
            if name.startswith("norm"):
                view.copy_(torch.rand(view.shape, generator=source, dtype=torch.float64) + (0.5 if name.endswith("var") else -0.5))


def _unfolded(weights: Weights, x: Tensor) -> Tensor:
    """Convolve, then normalize, by torch's own functions: two residual blocks without pooling."""
    functional = torch.nn.functional
    convolution = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[x.dim() - 2]
    own = {name: torch.from_numpy(array) for name, array in weights.arrays(0).items()}
    for n in (1, 2):
        z = convolution(x, own[f"conv{n}.weight"], own[f"conv{n}.bias"], padding=1)
        statistics = own[f"norm{n}.running_mean"], own[f"norm{n}.running_var"]
        z = functional.batch_norm(z, *statistics, own[f"norm{n}.weight"], own[f"norm{n}.bias"])
        shortcut = x if n == 2 else convolution(x, own["shortcut1.weight"], own["shortcut1.bias"])
        x = torch.relu(z + shortcut)
    return functional.linear(x.flatten(1), own["output.weight"], own["output.bias"])


@pytest.mark.parametrize("shape", SHAPES)
def test_folded_evaluation_is_batch_norm_after_the_convolution(shape: tuple[int, ...]) -> None:
    """Prepared once or folded on the spot, and bit for bit the same either way."""
    blocks = [{"channels": 4, "residual": True}, {"channels": 4, "residual": True}]
    _, weights = _drawn(shape, blocks=blocks, normalization=BATCH_NORM)
    _moved(weights)
    x = torch.randn(1, 6, *shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    run = weights.run(slice(0, 1), 6)
    with torch.no_grad():
        on_the_spot = weights.network.forward(x, run)
        prepared = weights.network.forward(x, weights.network.prepared(run))
    assert torch.equal(on_the_spot, prepared)
    torch.testing.assert_close(prepared[0], _unfolded(weights, x[0]), rtol=1e-12, atol=1e-12)


def test_a_prepared_run_folds_once_and_training_does_not() -> None:
    _, weights = _drawn((3, 7, 8), normalization=BATCH_NORM)
    assert isinstance(weights.network, Cnn)
    folded = weights.network.prepared(weights.run(slice(0, 1), 32)).single[0]
    assert {f"folded{n}.{part}" for n in (1, 2) for part in ("weight", "bias")} <= folded.keys()
    _, plain = _drawn((3, 7, 8))
    assert plain.network.prepared(plain.run(slice(0, 1), 32)).single[0].keys() == plain.layout.offsets.keys()
