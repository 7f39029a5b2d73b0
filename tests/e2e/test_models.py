"""Models leave: what is predicted from raw rows is what the network gave when it was trained."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from cli.service import Service
from data.preprocessing.apply import apply
from data.preprocessing.state import Preparation
from jobs.materialize import materialize
from jobs.plans.replay import replay
from jobs.rows import divisions_of
from jobs.spec import JobSpec
from models.build import build
from store.artifacts import Artifacts
from store.datasets import Datasets
from tests.system import Client
from training.evaluation import Part, measure
from training.export import load_safetensors, safetensors_metadata
from training.records import Fit
from training.weights import Weights

_TABLE = "age,weight,color,size,y\n" + "".join(
    f"{'' if i % 7 == 3 else 20 + i % 40},{50 + (i * 7) % 30}.5,{['red', 'green', '', 'blue'][i % 4]},{['small', 'large'][i % 2]},{(20 + i % 40) * 2 + i % 3}\n"
    for i in range(120)
)
_ORDER = {"size": {"order": ["small", "large"]}}
_BLOCKS = [{"channels": 6, "pool": 2}, {"channels": 8, "residual": True}]
KINDS: dict[str, dict[str, Any]] = {
    "mlp on a table": {"dataset": "iris", "network": {"name": "mlp", "hidden_units": [8], "normalization": {"name": "batch_norm"}}},
    "mlp on numbers": {"dataset": "diabetes", "network": {"name": "mlp", "hidden_units": [8], "activation": "gelu"}},
    "mlp in float64": {"dataset": "wine", "training": {"max_epochs": 3, "precision": "float64"}},
    "mlp on images": {"dataset": "digits", "network": {"name": "mlp", "hidden_units": [16], "normalization": {"name": "layer_norm"}}},
    "cnn on signals": {"dataset": "waves", "network": {"name": "cnn", "blocks": _BLOCKS, "normalization": {"name": "instance_norm"}}},
    "cnn on images": {"dataset": "digits", "network": {"name": "cnn", "blocks": _BLOCKS, "normalization": {"name": "batch_norm"}}},
    "cnn on colors, resized": {
        "dataset": "colored_shapes",
        "network": {"name": "cnn", "blocks": _BLOCKS, "normalization": {"name": "group_norm", "groups": 2}},
        "preprocessing": {"resize": [8, 10], "features": "min_max"},
    },
    "cnn on volumes": {"dataset": "solids", "network": {"name": "cnn", "blocks": _BLOCKS, "global_average_pooling": True}},
    "words and gaps, one-hot": {"preprocessing": {"missing": "indicator"}, "network": {"name": "mlp", "hidden_units": [8]}},
    "words and gaps, ordinal": {
        "preprocessing": {"missing": "median", "categories": "ordinal", "features": "min_max"},
        "network": {"name": "mlp", "hidden_units": [8]},
    },
}


@pytest.fixture(scope="module")
def table(client: Client) -> str:
    """Upload a table of numbers, words and gaps."""
    answer = client.request(
        "POST", "/v1/datasets", files={"file": ("t.csv", _TABLE.encode())}, data={"schema": json.dumps({"target": "y", "columns": _ORDER})}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _raw_rows(datasets: Datasets, spec: JobSpec, preparation: Preparation) -> tuple[list[Any], np.ndarray]:
    """Give the validation rows as a client has them, and their numbers."""
    dataset = datasets.load(spec.dataset)
    rows = divisions_of(spec, dataset)[0].val
    raw = dataset.x[rows]
    if preparation.inputs.kind != "table":
        return raw.tolist(), rows
    columns = dataset.info.columns or ()
    return [
        {
            column.name: None if np.isnan(value) else column.categories[int(value)] if column.categories else value
            for column, value in zip(columns, row, strict=True)
        }
        for row in raw.tolist()
    ], rows


def _trained_outputs(fit: Fit, arrays: dict[str, np.ndarray]) -> np.ndarray:
    """Run the training core's own evaluation of stored weights on the prepared validation rows."""
    assert fit.data.val is not None
    assert fit.spec.loss is not None
    network = build(fit.spec.network, fit.data.train.x.shape[1:], fit.data.num_outputs)
    dtype = torch.float64 if fit.spec.training.precision == "float64" else torch.float32
    weights = Weights.drawn(network, [fit.spec.network], [0], dtype, torch.device("cpu"))
    for layout, matrix in ((weights.layout, weights.parameters), (weights.buffer_layout, weights.buffers)):
        for name in layout.offsets:
            layout.view(matrix, name)[0].copy_(torch.from_numpy(arrays[name]))
    y = torch.from_numpy(np.asarray(fit.data.val.y))
    part = Part(
        x=torch.from_numpy(fit.data.val.x).to(dtype),
        y=y if fit.data.task == "classification" else y.to(dtype),
        task=fit.data.task,
        scale=fit.data.target_scale,
    )
    [figures] = measure(weights, [part], fit.spec.loss, keeps_outputs=True)
    assert figures.outputs is not None
    return figures.outputs


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_from_raw_rows_are_those_of_training(client: Client, service: Service, table: str, kind: str) -> None:
    fields = {"dataset": table, "training": {"max_epochs": 3}, "optimizer": {"name": "adam", "learning_rate": 0.01}, **KINDS[kind]}
    job, _ = client.run(**fields)
    content = client.request("GET", f"/v1/jobs/{job['id']}/model").content
    preparation = Preparation.model_validate(client.get(f"/v1/jobs/{job['id']}/preparation"))
    datasets = Datasets(service.database, Artifacts(f"file://{service.home / 'artifacts'}"))
    spec = JobSpec.model_validate(job["spec"])
    rows, numbers = _raw_rows(datasets, spec, preparation)
    answer = client.request("POST", f"/v1/jobs/{job['id']}/predictions", json={"rows": rows})
    assert answer.status_code == 200, answer.text
    found = answer.json()

    dataset = datasets.load(spec.dataset)
    made = materialize(replay(spec, dataset, ()).planned[1], dataset)
    assert made.preparation == preparation
    outputs = _trained_outputs(made.fit, load_safetensors(content))
    val = job["result"]["val"]
    if found["labels"] is None:
        expected = outputs[:, 0] * preparation.target.scale + preparation.target.offset
        np.testing.assert_allclose(found["predictions"], expected, rtol=1e-5, atol=1e-5)
        errors = np.array(found["predictions"]) - dataset.y[numbers]
        assert val["rmse"]["value"] == pytest.approx(float(np.sqrt((errors**2).mean())), rel=1e-5)
    else:
        shares = np.exp(outputs - outputs.max(1, keepdims=True))
        np.testing.assert_allclose(found["probabilities"], shares / shares.sum(1, keepdims=True), rtol=1e-5, atol=1e-5)
        right = np.array([found["labels"].index(label) for label in found["predictions"]]) == dataset.y[numbers]
        assert val["accuracy"]["value"] == pytest.approx(right.mean())


def test_a_bundle_holds_all_that_a_model_needs_elsewhere(client: Client, table: str, tmp_path: Path) -> None:
    job, _ = client.run(table, training={"max_epochs": 2}, preprocessing={"missing": "indicator"})
    content = client.request("GET", f"/v1/jobs/{job['id']}/model?format=zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.safetensors",
        "model.onnx",
        "preparation.json",
        "labels.json",
        "MODEL_CARD.md",
    }
    preparation = Preparation.model_validate_json((tmp_path / "preparation.json").read_bytes())
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    raw = np.array([[30.0, 60.5, 1.0, 0.0]])
    [standardized] = session.run(["standardized"], {"rows": apply(preparation, raw).astype(np.float32)})
    row = {"age": 30, "weight": 60.5, "color": preparation.inputs.columns[2].categories[1], "size": "small"}  # type: ignore[union-attr]
    answer = client.request("POST", f"/v1/jobs/{job['id']}/predictions", json={"rows": [row]}).json()
    assert answer["predictions"][0] == pytest.approx(float(standardized[0, 0]) * preparation.target.scale + preparation.target.offset)
    metadata = safetensors_metadata((tmp_path / "model.safetensors").read_bytes())
    assert json.loads(metadata["preparation"]) == json.loads((tmp_path / "preparation.json").read_text())
    card = (tmp_path / "MODEL_CARD.md").read_text()
    assert card == client.request("GET", f"/v1/jobs/{job['id']}/model-card").text
    for needed in (
        job["id"],
        client.get(f"/v1/datasets/{table}")["content_hash"],
        "Generalization gap",
        "Diagnosis",
        "What is not known",
        "torch",
    ):
        assert needed in card


BAD_ROWS: dict[str, tuple[Any, str, str]] = {
    "an unknown column": ({"age": 1, "height": 2}, "/rows/0/height", "unknown_column"),
    "words for a number": ({"age": "old", "weight": 1, "color": "red", "size": "small"}, "/rows/0/age", "not_a_number"),
    "true for a number": ({"age": True, "weight": 1, "color": "red", "size": "small"}, "/rows/0/age", "not_a_number"),
    "a number beyond all bounds": ({"age": 10**400, "weight": 1, "color": "red", "size": "small"}, "/rows/0/age", "not_a_number"),
    "a word outside an order": ({"age": 1, "weight": 1, "color": "red", "size": "huge"}, "/rows/0/size", "unknown_word"),
    "a list for a word": ({"age": 1, "weight": 1, "color": ["red"], "size": "small"}, "/rows/0/color", "not_a_word"),
    "a list that is too short": ([1, 2], "/rows/0", "wrong_length"),
    "an overflow": ({"age": 1e300, "weight": 1e308, "color": "red", "size": "small"}, "/rows/0", "not_finite"),
}


@pytest.fixture(scope="module")
def job(client: Client, table: str) -> str:
    found, _ = client.run(table, training={"max_epochs": 2}, preprocessing={"missing": "indicator"})
    return str(found["id"])


@pytest.mark.parametrize("case", BAD_ROWS)
def test_rows_that_are_not_as_the_training_rows_were_are_refused(client: Client, job: str, case: str) -> None:
    row, pointer, code = BAD_ROWS[case]
    answer = client.request("POST", f"/v1/jobs/{job}/predictions", json={"rows": [row]})
    assert answer.status_code == 422, answer.text
    assert (pointer, code) in [(one["pointer"], one["code"]) for one in answer.json()["errors"]]


def test_words_that_training_never_met_are_unknown_and_said_to_be(client: Client, job: str) -> None:
    rows = [{"age": 30, "weight": 60, "color": color, "size": "small"} for color in ("violet", "orange")]
    found = client.request("POST", f"/v1/jobs/{job}/predictions", json={"rows": rows}).json()
    assert found["predictions"][0] == found["predictions"][1]
    assert found["warnings"] == ["2 words of column color did not occur in the training rows and are taken as unknown: 'violet', 'orange'"]


def test_rows_far_from_all_training_rows_are_said_to_be(client: Client, job: str) -> None:
    rows = [{"age": age, "weight": 60, "color": " red ", "size": ""} for age in (30, 30_000)]
    [warning] = client.request("POST", f"/v1/jobs/{job}/predictions", json={"rows": rows}).json()["warnings"]
    assert warning == "1 rows lie far from all training rows (the first is row 2): their answers mean little"


def test_a_missing_value_is_refused_by_a_model_that_was_trained_on_complete_rows(client: Client) -> None:
    """B021."""
    job, _ = client.run("iris", training={"max_epochs": 1})
    answer = client.request("POST", f"/v1/jobs/{job['id']}/predictions", json={"rows": [{"petal length (cm)": 1.0}]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "missing_value"


def test_images_are_predicted_as_the_archive_had_them(client: Client) -> None:
    content = io.BytesIO()
    rng = np.random.default_rng(0)
    images = {
        f"{label}/{i}.png": rng.integers(low, low + 100, (10, 12, 3), dtype=np.uint8)
        for label, low in (("dark", 0), ("light", 150))
        for i in range(12)
    }
    with zipfile.ZipFile(content, "w") as archive:
        for name, pixels in images.items():
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            archive.writestr(name, file.getvalue())
    answer = client.request("POST", "/v1/datasets", files={"file": ("images.zip", content.getvalue())})
    assert answer.status_code == 201, answer.text
    job, _ = client.run(answer.json()["id"], network={"name": "cnn", "blocks": [{"channels": 4}]}, training={"max_epochs": 8})
    rows = [np.moveaxis(pixels, -1, 0).tolist() for pixels in images.values()]
    found = client.request("POST", f"/v1/jobs/{job['id']}/predictions", json={"rows": rows}).json()
    assert [label for label, name in zip(found["predictions"], images, strict=True) if not name.startswith(label)] == []
    wrong = client.request("POST", f"/v1/jobs/{job['id']}/predictions", json={"rows": [[[1, 2], [3]], [[0]]]})
    assert [one["code"] for one in wrong.json()["errors"]] == ["not_numbers", "wrong_shape"]


def test_what_has_no_model_says_so(client: Client) -> None:
    job = client.until(
        client.submit(
            "diabetes",
            optimizer={"name": "sgd", "learning_rate": 1e20},
            preprocessing={"target": "none"},
            split={"name": "holdout", "val_fraction": 0},
        )["id"],
        "failed",
    )
    for path in ("model", "model?format=onnx", "model?format=zip", "preparation", "model-card"):
        answer = client.request("GET", f"/v1/jobs/{job['id']}/{path}")
        assert (answer.status_code, answer.json()["code"]) == (409, "no_model")
    assert client.request("POST", f"/v1/jobs/{job['id']}/predictions", json={"rows": [[0] * 10]}).status_code == 409
    assert client.request("POST", "/v1/jobs/job_none/predictions", json={"rows": [[0]]}).status_code == 404
