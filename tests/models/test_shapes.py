"""Shape arithmetic by hand."""

import pytest

from models.shapes import Layer, ShapeProblem, layers, num_parameters, window_output
from models.spec import CnnSpec, MlpSpec


def _cnn(**fields: object) -> CnnSpec:
    return CnnSpec.model_validate({"name": "cnn", **fields})


def test_a_dense_layer_from_99_inputs_to_10_outputs_has_990_weights_and_10_biases() -> None:
    assert layers(MlpSpec(name="mlp", hidden_units=()), (99,), 10) == (Layer("output", "dense", (10,), 990, 10),)


def test_a_one_channel_convolution_of_kernel_10_has_10_weights_and_1_bias() -> None:
    table = layers(_cnn(blocks=[{"channels": 1, "kernel_size": 10, "padding": 0}]), (1, 100), 2)
    assert table[0] == Layer("conv1", "convolution", (1, 91), 10, 1, receptive_field=(10,), dense_parameters=100 * 91 + 91)


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
    assert (table[0].output_shape, table[0].num_weights, table[0].num_biases) == ((4, 8, 8, 8), 4 * 2 * 27, 4)
    assert table[-1].num_parameters == 4 * 4**3 * 3 + 3


def test_every_learned_number_is_counted() -> None:
    spec = MlpSpec.model_validate({"name": "mlp", "hidden_units": [128, 64], "normalization": {"name": "batch_norm"}})
    assert num_parameters(layers(spec, (1, 8, 8), 10)) == (64 * 128 + 128) + 2 * 128 + (128 * 64 + 64) + 2 * 64 + (64 * 10 + 10)


def test_layer_norm_after_a_convolution_has_a_scale_and_shift_for_each_position() -> None:
    table = layers(_cnn(blocks=[{"channels": 4}], normalization={"name": "layer_norm"}), (1, 6, 6), 2)
    assert table[1] == Layer("norm1", "layer_norm", (4, 6, 6), 4 * 36, 4 * 36, (3, 3))


def test_the_vanishing_layer_is_named() -> None:
    with pytest.raises(ShapeProblem, match="pool4: a window of 2 does not fit") as caught:
        layers(_cnn(blocks=[{"pool": 2}] * 4), (1, 8, 8), 10)
    assert (caught.value.layer, caught.value.pointer) == ("pool4", "/network/blocks/3/pool")


def test_a_convolution_is_compared_with_a_dense_layer_of_the_same_job() -> None:
    """99 inputs, 90 outputs: a kernel of 10 learns 11 numbers where a dense layer would learn 99 * 90 + 90."""
    table = layers(_cnn(blocks=[{"channels": 1, "kernel_size": 10, "padding": 0}]), (1, 99), 10)
    assert (table[0].num_parameters, table[0].dense_parameters) == (11, 99 * 90 + 90)
    assert [layer.dense_parameters for layer in table[1:]] == [None] * len(table[1:])


def test_receptive_fields_grow_by_the_window_times_the_steps_before_it() -> None:
    blocks = [{"kernel_size": 3, "pool": 2}, {"kernel_size": 3, "stride": 2}, {"kernel_size": 3, "dilation": 2}, {"kernel_size": 1}]
    table = layers(_cnn(blocks=blocks), (1, 64, 64), 2)
    found = {layer.name: layer.receptive_field for layer in table}
    assert [found[name] for name in ("conv1", "pool1", "conv2", "conv3", "conv4")] == [(3, 3), (4, 4), (8, 8), (24, 24), (24, 24)]
    assert found["output"] == (64, 64)
    assert {layer.receptive_field for layer in layers(MlpSpec(name="mlp"), (4,), 2)} == {None}


def test_a_residual_block_projects_only_where_shapes_differ() -> None:
    table = layers(_cnn(blocks=[{"channels": 4, "residual": True}, {"channels": 4, "residual": True}]), (1, 8, 8), 2)
    names = [layer.name for layer in table]
    assert "shortcut1" in names
    assert "shortcut2" not in names
    assert [layer.num_parameters for layer in table if layer.name == "shortcut1"] == [1 * 4 + 4]


@pytest.mark.parametrize(
    ("fields", "shape", "pointer", "code"),
    [
        ({"blocks": [{"pool": 2}] * 4}, (1, 8, 8), "/network/blocks/3/pool", "feature_map_vanishes"),
        ({"blocks": [{"kernel_size": 4}]}, (1, 8, 8), "/network/blocks/0/padding", "even_kernel"),
        ({"blocks": [{"kernel_size": 5, "dilation": 2, "padding": 0}]}, (1, 8, 8), "/network/blocks/0/kernel_size", "feature_map_vanishes"),
        ({"blocks": [{"kernel_size": 1, "dilation": 2}]}, (1, 8, 8), "/network/blocks/0/dilation", "no_effect"),
        ({"blocks": [{"padding": 0, "padding_mode": "reflect"}]}, (1, 8, 8), "/network/blocks/0/padding_mode", "no_effect"),
        ({"blocks": [{"padding": 8, "padding_mode": "reflect"}]}, (1, 8, 8), "/network/blocks/0/padding_mode", "padding_too_large"),
        ({"blocks": [{"padding": 9, "padding_mode": "circular"}]}, (1, 8, 8), "/network/blocks/0/padding_mode", "padding_too_large"),
        ({"blocks": [{"padding": 0, "residual": True}]}, (1, 8, 8), "/network/blocks/0/residual", "shortcut_does_not_fit"),
        ({"blocks": [{"stride": 8}], "global_average_pooling": True}, (1, 8, 8), "/network/global_average_pooling", "no_effect"),
        ({"normalization": {"name": "group_norm", "groups": 4}, "blocks": [{"channels": 6}]}, (1, 8, 8), "/network/normalization/groups", "groups_do_not_divide"),
        ({"normalization": {"name": "group_norm", "groups": 5}, "hidden_units": [12], "blocks": [{"channels": 10}]}, (1, 8, 8), "/network/normalization/groups", "groups_do_not_divide"),
        ({"normalization": {"name": "instance_norm"}, "blocks": [{"stride": 8}]}, (1, 8, 8), "/network/normalization", "normalization_of_one_value"),
        ({"normalization": {"name": "group_norm", "groups": 8}, "hidden_units": [8], "blocks": [{"channels": 8}]}, (1, 8, 8), "/network/normalization", "normalization_of_one_value"),
        ({}, (4,), "/network/name", "network_does_not_apply"),
        ({}, (1, 2, 3, 4, 5), "/network/name", "network_does_not_apply"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_refused_with_its_place(fields: dict[str, object], shape: tuple[int, ...], pointer: str, code: str) -> None:
    """B078, B113."""
    with pytest.raises(ShapeProblem) as caught:
        layers(_cnn(**fields), shape, 2)
    assert (caught.value.pointer, caught.value.code) == (pointer, code)


def test_an_mlp_has_no_positions_to_normalize_over() -> None:
    """B078."""
    with pytest.raises(ShapeProblem) as caught:
        layers(MlpSpec.model_validate({"name": "mlp", "normalization": {"name": "instance_norm"}}), (4,), 2)
    assert caught.value.pointer == "/network/normalization"
