"""What uploads must not do to a curve: let validation rows into training, or depend on the order of a file."""

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.system import Client

ROWS, TRAINED = 40, 28
SMALL = {
    "network": {"name": "mlp", "hidden_units": [8], "dropout": 0.2, "normalization": {"name": "batch_norm"}},
    "training": {"max_epochs": 3, "batch_size": 8, "precision": "float64"},
}
IN_ORDER = {"name": "holdout", "shuffle": False, "val_fraction": 0.3}
Columns = dict[str, list[Any]]


def _csv(columns: Mapping[str, Sequence[Any]], delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return out.getvalue().encode()


def _upload(client: Client, content: bytes, name: str = "table.csv", **schema: Any) -> dict[str, Any]:
    answer = client.request("POST", "/v1/datasets", files={"file": (name, content)}, data={"schema": json.dumps(schema)})
    assert answer.status_code in {200, 201}, answer.text
    dataset: dict[str, Any] = answer.json()
    return dataset


def _refused(client: Client, path: str, **options: Any) -> tuple[str, str, str]:
    answer = client.request("POST", path, **options)
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    return error["pointer"], error["code"], error["message"]


def _training_columns(curve: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values for name, values in curve.items() if name.startswith("train_") or name in {"epoch", "objective", "learning_rate"}}


def _table() -> Columns:
    draws = np.random.default_rng(0)
    return {
        "a": draws.normal(5, 2, ROWS).tolist(),
        "b": draws.uniform(0, 1, ROWS).tolist(),
        "word": draws.choice(["lime", "mint", "rust"], ROWS).tolist(),
        "y": draws.choice(["no", "yes"], ROWS).tolist(),
    }


def _with(columns: Columns, rows: Sequence[int], **values: Any) -> Columns:
    """Put other values in some rows: one for all, or what a function makes of the old one."""
    found = {name: list(cells) for name, cells in columns.items()}
    for name, value in values.items():
        for row in rows:
            found[name][row] = value(found[name][row]) if callable(value) else value
    return found


HELD_OUT = range(TRAINED, ROWS)
GAPS = range(2, TRAINED, 5)


def _archive(brightness: int) -> bytes:
    draws = np.random.default_rng(0)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number in range(ROWS):
            part, label = ("train", "val")[number >= TRAINED], ("left", "right")[number % 2]
            pixels = draws.integers(0, 100, (6, 6)) + (brightness if part == "val" else 0)
            picture = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(picture, format="PNG")
            archive.writestr(f"{part}/{label}/{number:03}.png", picture.getvalue())
    return out.getvalue()


def _arrays(factor: float) -> bytes:
    draws = np.random.default_rng(0)
    x = draws.uniform(0, 1, (ROWS, 1, 6, 6))
    x[TRAINED:] *= factor
    out = io.BytesIO()
    np.savez(out, x=x, y=np.arange(ROWS) % 2)
    return out.getvalue()


def _tables(name: str) -> tuple[Columns, Columns]:
    """Give two tables that differ in features of validation rows alone."""
    plain = _table()
    match name:
        case "standardize" | "min_max":
            return plain, _with(plain, HELD_OUT, a=lambda value: value * 1000, b=-7.0)
        case "median" | "most_frequent" | "indicator":
            gaps = _with(plain, GAPS, a="", word="NA")
            return gaps, _with(gaps, HELD_OUT, a=lambda value: value + 50, b="", word=lambda word: f"a{word}")
        case "indicator of what no training row lacks":
            return plain, _with(plain, HELD_OUT, a="", word="")
        case "ordinal":
            return plain, _with(plain, HELD_OUT, word=lambda word: "aqua" if word == "lime" else "lynx")  # before all, and between
        case "declared order":
            return _with(plain, HELD_OUT, word="lime"), _with(plain, HELD_OUT, word="rust")
        case "time":
            days = [(date(2020, 1, 1) + timedelta(days=place)).isoformat() for place in range(ROWS)]
            order = np.random.default_rng(1).permutation(ROWS)
            pair = ({**plain, "day": days}, _with({**plain, "day": days}, HELD_OUT, a=999.0, word="zinc"))
            return tuple({name: [cells[i] for i in order] for name, cells in one.items()} for one in pair)  # type: ignore[return-value]
        case "predefined":
            parts = ["val" if row % 4 == 1 else "test" if row % 7 == 2 else "train" for row in range(ROWS)]
            held_out = [row for row in range(ROWS) if parts[row] != "train"]
            return {**plain, "part": parts}, _with({**plain, "part": parts}, held_out, a=999.0, word="zinc")
        case _:
            raise AssertionError(name)


UNSEEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "standardize": ({}, {}),
    "min_max": ({}, {"preprocessing": {"features": "min_max"}}),
    "median": ({}, {"preprocessing": {"missing": "median", "categories": "one_hot"}}),
    "most_frequent": ({}, {"preprocessing": {"missing": "most_frequent"}}),
    "indicator": ({}, {"preprocessing": {"missing": "indicator", "categories": "one_hot"}}),
    "indicator of what no training row lacks": ({}, {"preprocessing": {"missing": "indicator"}}),
    "ordinal": ({}, {"preprocessing": {"categories": "ordinal"}}),
    "declared order": ({"columns": {"word": {"order": ["mint", "lime", "rust"]}}}, {}),
    "time": ({"time": "day"}, {"split": {"name": "holdout", "val_fraction": 0.3}}),
    "predefined": ({"split": "part"}, {"split": {"name": "predefined"}}),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_features_of_validation_rows_do_not_reach_training(client: Client, name: str) -> None:
    """B006: whatever is learned to prepare rows is learned from the training rows, words and gaps included."""
    schema, fields = UNSEEN[name]
    datasets = [_upload(client, _csv(table), target="y", **schema) for table in _tables(name)]
    assert datasets[0]["id"] != datasets[1]["id"]
    (first, one), (_, other) = (client.run(dataset["id"], **{**SMALL, "split": IN_ORDER, **fields}) for dataset in datasets)
    assert first["spec"]["split"]["by"] == {"time": "time", "predefined": None}.get(name, "rows")
    assert _training_columns(one) == _training_columns(other)
    assert one["val_loss"] != other["val_loss"]


@pytest.mark.parametrize("features", ["standardize", "min_max", "none"])
def test_pixels_of_validation_images_do_not_reach_training(client: Client, features: str) -> None:
    """B006, in an archive whose folders divide it."""
    datasets = [_upload(client, _archive(brightness), "images.zip") for brightness in (0, 150)]
    assert datasets[0]["predefined_rows"] == {"train": TRAINED, "val": ROWS - TRAINED, "test": 0}
    fields = {**SMALL, "split": {"name": "predefined"}, "preprocessing": {"features": features}}
    one, other = (client.run(dataset["id"], **fields)[1] for dataset in datasets)
    assert _training_columns(one) == _training_columns(other)
    assert one["val_loss"] != other["val_loss"]


@pytest.mark.parametrize("features", ["standardize", "min_max", "none"])
def test_values_of_validation_arrays_do_not_reach_training(client: Client, features: str) -> None:
    """B006, in an NPZ file of floating-point images: what divides pixels is learned too."""
    datasets = [_upload(client, _arrays(factor), "images.npz") for factor in (1, 300)]
    fields = {**SMALL, "split": IN_ORDER, "preprocessing": {"features": features}}
    one, other = (client.run(dataset["id"], **fields)[1] for dataset in datasets)
    assert _training_columns(one) == _training_columns(other)
    assert one["val_loss"] != other["val_loss"]


def test_features_of_held_out_groups_do_not_reach_training(client: Client) -> None:
    """B006: of four groups one is held out; changing it, and it alone, changes nothing in training."""
    groups = [f"g{row % 4}" for row in range(ROWS)]
    plain = {**_table(), "g": groups}
    schema = {"target": "y", "group": "g"}
    fields = {**SMALL, "split": {"name": "holdout", "val_fraction": 0.25}}
    job, curve = client.run(_upload(client, _csv(plain), **schema)["id"], **fields)
    assert job["spec"]["split"]["by"] == "group"
    untouched = []
    for group in sorted(set(groups)):
        changed = _with(plain, [row for row in range(ROWS) if groups[row] == group], a=lambda value: value * 10, word="zinc")
        other = client.run(_upload(client, _csv(changed), **schema)["id"], **fields)[1]
        if _training_columns(other) == _training_columns(curve):
            untouched.append(group)
            assert other["val_loss"] != curve["val_loss"]
    assert len(untouched) == 1


def test_a_copy_of_the_training_rows_has_a_gap_of_exactly_zero(client: Client) -> None:
    """B001: dropout and batch norm act while training alone, and both splits are measured alike."""
    table = _table()
    dataset = _upload(client, _csv({name: cells * 2 for name, cells in table.items()}), target="y")
    assert dataset["upload"]["profile"]["num_duplicate_rows"] == ROWS
    network = {"name": "mlp", "hidden_units": [16, 16], "dropout": 0.5, "normalization": {"name": "batch_norm"}}
    split = {"name": "holdout", "shuffle": False, "val_fraction": 0.5}
    curve = client.run(
        dataset["id"],
        network=network,
        split=split,
        training={"max_epochs": 5, "batch_size": 8},
        preprocessing={"missing": "indicator"},
    )[1]
    assert curve["generalization_gap"] == [0.0] * 6
    assert curve["train_loss"][5] != curve["train_loss"][0]


@pytest.mark.parametrize("kind", ["days", "seconds"])
def test_the_order_of_a_file_says_nothing_where_time_orders_rows(client: Client, kind: str) -> None:
    """B030: the same rows, shuffled and sorted by time, give the same curve."""
    when: list[Any] = [(date(2021, 12, 20) + timedelta(days=place)).isoformat() for place in range(ROWS)]
    if kind == "seconds":
        when = [9.5 + place for place in range(ROWS)]  # as text 10.5 comes before 9.5
    table = {**_table(), "when": when}
    order = np.random.default_rng(2).permutation(ROWS)
    shuffled = {name: [cells[i] for i in order] for name, cells in table.items()}
    one, other = (client.run(_upload(client, _csv(rows), target="y", time="when")["id"], **SMALL)[1] for rows in (table, shuffled))
    assert one == other


def test_six_rows_in_three_groups_leave_one_group_of_two_for_validation(client: Client) -> None:
    """B035: fractions are of groups, and a dataset without groups is not silently split by rows."""
    table: Columns = {"x": [1, 2, 3, 4, 5, 7], "g": list("aabbcc"), "y": ["p", "q"] * 3}
    split = {"name": "holdout", "by": "group", "val_fraction": 0.34}
    dataset = _upload(client, _csv(table), target="y", group="g")
    preview = client.request("POST", "/v1/previews", json={"dataset": dataset["id"], "split": split, "seed": 0}).json()
    assert preview["fits"][0]["num_rows"] == {"train": 4, "val": 2, "test": 0}
    without = _upload(client, _csv(table), target="y")
    pointer, code, message = _refused(client, "/v1/jobs", json={"dataset": without["id"], "split": split})
    assert (pointer, code, message) == ("/split/by", "no_group_column", "this dataset has no group column")


def test_a_class_of_one_row_is_named_where_it_cannot_be_stratified(client: Client) -> None:
    """B034."""
    dataset = _upload(client, _csv({"x": list(range(1, 13)), "y": ["p", "q"] * 5 + ["p", "solitary"]}), target="y")
    assert "classes with fewer than 10 rows: p (6), q (5), solitary (1)" in dataset["upload"]["profile"]["warnings"]
    pointer, code, message = _refused(client, "/v1/jobs", json={"dataset": dataset["id"]})
    assert (pointer, code) == ("/split/val_fraction", "class_too_small")
    assert "solitary" in message


def test_noise_cannot_be_learned_by_drawing_rows_more_than_once(client: Client) -> None:
    """B043: balanced sampling draws from the training rows after the split, so copies never reach validation."""
    draws = np.random.default_rng(3)
    table = {f"x{i}": draws.normal(size=200).tolist() for i in range(20)}
    dataset = _upload(client, _csv({**table, "y": draws.choice(["no", "yes"], 200).tolist()}), target="y")
    job, curve = client.run(
        dataset["id"],
        network={"name": "mlp", "hidden_units": [64]},
        optimizer={"name": "adam", "learning_rate": 0.01},
        training={"max_epochs": 15, "kept_weights": "last"},
        split={"name": "holdout", "val_fraction": 0.5},
        regularization={"balanced_sampling": True},
    )
    assert curve["train_accuracy"][-1] > 0.95
    assert abs(client.fit(job["id"])["evaluation"]["val"]["accuracy"]["value"] - 0.5) < 0.15


def test_semicolons_and_decimal_commas_give_the_numbers_that_were_meant(client: Client) -> None:
    """B062: the same table with commas and points gives the same curve."""
    table = _table()
    written = {name: [str(cell).replace(".", ",") for cell in cells] for name, cells in table.items()}
    here, there = _upload(client, _csv(table), target="y"), _upload(client, _csv(written, ";"), target="y")
    assert there["upload"]["schema"]["csv"] | {"delimiter": ";", "decimal": ","} == there["upload"]["schema"]["csv"]
    assert here["upload"]["profile"]["columns"] == there["upload"]["profile"]["columns"]
    assert [column["kind"] for column in there["columns"]] == ["number", "number", "category"]
    quoted = _upload(client, _csv(written), target="y", csv={"decimal": ","})
    one, *others = (client.run(dataset["id"], **SMALL)[1] for dataset in (here, there, quoted))
    assert others == [one, one]


def test_balanced_class_weights_stand_a_class_that_no_training_row_has(client: Client) -> None:
    """B070: no weight is divided by zero, and the class is named."""
    table = _table()
    table["y"] = [*(["no", "no", "yes"] * ROWS)[:TRAINED], *["violet"] * (ROWS - TRAINED)]
    table["part"] = [*["train"] * TRAINED, *["val"] * (ROWS - TRAINED)]
    dataset = _upload(client, _csv(table), target="y", split="part")
    job, curve = client.run(dataset["id"], **SMALL, split={"name": "predefined"}, regularization={"class_weights": "balanced"})
    assert [text for text in job["warnings"] if "class violet has no training row" in text]
    assert all(np.isfinite(value) for value in [*curve["train_loss"], *curve["val_loss"], *curve["objective"][1:]])


def test_a_single_class_is_refused_at_upload_and_in_the_training_rows(client: Client) -> None:
    """B111."""
    schema = {"schema": json.dumps({"target": "y"})}
    table: Columns = {"x": list(range(12)), "y": ["same"] * 12}
    pointer, code, _ = _refused(client, "/v1/datasets", files={"file": ("one.csv", _csv(table))}, data=schema)
    assert (pointer, code) == ("/target", "single_class")
    dataset = _upload(client, _csv(_with(table, range(6, 12), y="other")), target="y")
    split = {"name": "holdout", "shuffle": False, "val_fraction": 0.5}
    pointer, code, _ = _refused(client, "/v1/jobs", json={"dataset": dataset["id"], "split": split})
    assert (pointer, code) == ("/split", "single_class")
