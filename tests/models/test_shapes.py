"""Shape arithmetic by hand."""

import pytest

from models.shapes import Layer, ShapeProblem, layers, num_parameters, window_output
from models.spec import CnnSpec, MlpSpec


def _cnn(**fields: object) -> CnnSpec:
    return CnnSpec.model_validate({"name": "cnn", **fields})


def test_a_dense_layer_from_99_inputs_to_10_outputs_has_990_weights_and_10_biases() -> None:
    assert layers(MlpSpec(name="mlp", hidden_units=()), (99,), 10) == (Layer("output", "dense", (10,), 1000),)


def test_a_one_channel_convolution_of_kernel_10_has_10_weights_and_1_bias() -> None:
    table = layers(_cnn(blocks=[{"channels": 1, "kernel_size": 10, "padding": 0}]), (1, 100), 2)
    assert table[0] == Layer("conv1", "convolution", (1, 91), 11)


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "expected"),
    [(8, 3, 1, 1, 8), (8, 3, 2, 1, 4), (7, 2, 2, 0, 3), (5, 5, 1, 0, 1), (4, 5, 1, 0, 0), (10, 1, 3, 0, 4)],
)
def test_windows_are_counted_by_the_floor_formula(size: int, kernel: int, stride: int, padding: int, expected: int) -> None:
    assert window_output(size, kernel=kernel, stride=stride, padding=padding) == expected


def test_odd_images_lose_the_last_row_when_pooled() -> None:
    table = layers(_cnn(blocks=[{"channels": 2, "pool": 2}]), (1, 7, 5), 2)
    assert [layer.output_shape for layer in table if layer.kind == "max_pool"] == [(2, 3, 2)]


def test_three_axes_are_a_member_like_any_other() -> None:
    table = layers(_cnn(blocks=[{"channels": 4, "kernel_size": 3, "pool": 2}]), (2, 8, 8, 8), 3)
    assert table[0] == Layer("conv1", "convolution", (4, 8, 8, 8), 4 * 2 * 27 + 4)
    assert table[-1].num_parameters == 4 * 4**3 * 3 + 3


def test_every_learned_number_is_counted() -> None:
    spec = MlpSpec.model_validate({"name": "mlp", "hidden_units": [128, 64], "normalization": {"name": "batch_norm"}})
    assert num_parameters(layers(spec, (1, 8, 8), 10)) == (64 * 128 + 128) + 2 * 128 + (128 * 64 + 64) + 2 * 64 + (64 * 10 + 10)


def test_layer_norm_after_a_convolution_has_a_scale_and_shift_for_each_position() -> None:
    table = layers(_cnn(blocks=[{"channels": 4}], normalization={"name": "layer_norm"}), (1, 6, 6), 2)
    assert table[1] == Layer("norm1", "layer_norm", (4, 6, 6), 2 * 4 * 36)


def test_the_vanishing_layer_is_named() -> None:
    with pytest.raises(ShapeProblem, match="pool4: a window of 2 does not fit") as caught:
        layers(_cnn(blocks=[{"pool": 2}] * 4), (1, 8, 8), 10)
    assert (caught.value.layer, caught.value.pointer) == ("pool4", "/network/blocks/3/pool")
