"""The commands of docs/uploads.md, as they stand there: ten files, ten datasets, ten trained jobs."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cli.service import Service
from data.preprocessing.spec import PreprocessingSpec
from data.uploads.spec import CsvSpec, ImagesSpec, UploadSpec
from tests.system import Client

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "uploads.md"
FILES = {
    "iris.csv": ("table", "rows", {"train": 105, "val": 45, "test": 0}),
    "wine.csv": ("table", "rows", {"train": 125, "val": 53, "test": 0}),
    "breast_cancer.parquet": ("table", "rows", {"train": 398, "val": 171, "test": 0}),
    "diabetes.csv": ("table", "rows", {"train": 309, "val": 133, "test": 0}),
    "penguins.csv": ("table", "rows", {"train": 241, "val": 103, "test": 0}),
    "penguins_by_bird.csv": ("table", "group", None),
    "sunspots.csv": ("table", "time", {"train": 238, "val": 60, "test": 0}),
    "digits.zip": ("image", "rows", {"train": 1258, "val": 539, "test": 0}),
    "watch.npz": ("signal", "group", None),
    "solids.npz": ("volume", "rows", {"train": 280, "val": 120, "test": 0}),
}
CUT = "----- the next block -----"


def _make(folder: Path) -> None:
    program = ROOT / "docs" / "uploads" / "make_files.py"
    subprocess.run([sys.executable, program, folder], cwd=ROOT, env=_environment(), capture_output=True, check=True)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("files")
    _make(found)
    return found


@pytest.fixture(scope="module")
def outputs(service: Service, folder: Path) -> dict[str, str]:
    """Run all blocks of the page in one shell; give what each printed."""
    blocks = re.findall(r"^```bash\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    script = f"echo '{CUT}'\n".join(blocks).replace("localhost:8000", service.url.removeprefix("http://"))
    ended = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env=_environment(), capture_output=True, text=True, timeout=240, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended
    return dict(zip(blocks, ended.stdout.split(f"{CUT}\n"), strict=True))


@pytest.fixture(scope="module")
def trained(client: Client, outputs: dict[str, str]) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Wait for the page's jobs; give dataset and job for each file."""
    found = {}
    for job_id in re.findall(r"^job_\w+$", "\n".join(outputs.values()), re.MULTILINE):
        job = client.until(job_id, "succeeded")
        dataset = client.get(f"/v1/datasets/{job['spec']['dataset']}")
        found[dataset["upload"]["file_name"]] = dataset, job
    assert set(found) == set(FILES)
    return found


@pytest.mark.parametrize("name", FILES)
def test_every_file_of_the_page_is_learned_from(
    client: Client, trained: dict[str, tuple[dict[str, Any], dict[str, Any]]], name: str
) -> None:
    dataset, job = trained[name]
    kind, by, num_rows = FILES[name]
    fit, curve = client.fit(job["id"]), client.curve(job["id"])
    assert (dataset["kind"], job["spec"]["split"]["by"]) == (kind, by)
    assert fit["num_rows"] == (num_rows or fit["num_rows"])
    assert sum(fit["num_rows"].values()) == dataset["num_rows"]
    assert curve["epoch"] == list(range(job["spec"]["training"]["max_epochs"] + 1))
    assert all(math.isfinite(value) for split in ("train", "val") for value in curve[f"{split}_loss"])
    val = fit["evaluation"]["val"]
    assert val["loss"]["value"] < 0.8 * val["baseline_loss"]
    assert f"| `{name}` | {fit['num_rows']['train']} + {fit['num_rows']['val']}{'' if by == 'rows' else f', by {by}'} |" in PAGE.read_text()


@pytest.mark.parametrize("name", FILES)
def test_an_equal_upload_under_the_echoed_schema_is_the_same_dataset(
    client: Client, trained: dict[str, tuple[dict[str, Any], dict[str, Any]]], folder: Path, name: str
) -> None:
    dataset, _ = trained[name]
    with (folder / name).open("rb") as file:
        answer = client.request("POST", "/v1/datasets", files={"file": file}, data={"schema": json.dumps(dataset["upload"]["schema"])})
    assert answer.status_code == 200, answer.text
    assert answer.json() == dataset


@pytest.mark.parametrize("name", ["penguins.csv", "digits.zip", "solids.npz"])
def test_datasets_can_be_looked_at(client: Client, trained: dict[str, tuple[dict[str, Any], dict[str, Any]]], name: str) -> None:
    assert client.request("GET", f"/v1/datasets/{trained[name][0]['id']}/preview.png").content.startswith(b"\x89PNG")


def test_what_the_page_says_that_answers_are_is_what_they_are(outputs: dict[str, str], folder: Path) -> None:
    printed = [text for block, text in outputs.items() if "-w '%{http_code}" in block]
    assert [text.splitlines()[0] for text in printed] == ["200", "200", "204"]
    assert "same features as an earlier one" in printed[0]
    assert (folder / "watch.png").read_bytes().startswith(b"\x89PNG")
    answer, shown = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    [predicted] = [json.loads(text) for block, text in outputs.items() if "/predictions" in block]
    assert predicted["predictions"] == json.loads(answer)["predictions"]
    assert predicted.keys() == json.loads(answer).keys()
    assert np.array(predicted["probabilities"]).round(2).tolist() == json.loads(answer)["probabilities"]
    assert "## What is not known" in next(text for block, text in outputs.items() if "/model-card" in block)
    assert (folder / "model.zip").read_bytes().startswith(b"PK")
    [refusal] = [text for block, text in outputs.items() if '"target": "sex"}' in block]
    assert {**json.loads(refusal), "request_id": ""} == {**json.loads(shown), "request_id": ""}
    [limits] = [text for block, text in outputs.items() if "/v1/limits" in block]
    assert "max_upload_bytes" in json.loads(limits)


def test_files_are_understood_as_the_page_says(trained: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
    wine, spots, penguins, birds, watch = (
        trained[name][0] for name in ("wine.csv", "sunspots.csv", "penguins.csv", "penguins_by_bird.csv", "watch.npz")
    )
    csv = wine["upload"]["schema"]["csv"]
    assert (csv["delimiter"], csv["decimal"], csv["encoding"]) == (";", ",", "utf-8")
    assert wine["feature_names"][0] == "Alkohol"
    assert "Farbstärke" in wine["feature_names"]
    assert wine["class_labels"] == ["Sorte A", "Sorte B", "Sorte C"]
    assert (spots["task"], spots["time_name"], "year" in spots["feature_names"]) == ("regression", "year", False)
    assert {column["name"]: column["num_missing"] for column in penguins["columns"]}["sex"] == 11
    assert (birds["group_name"], birds["num_groups"], "bird" in birds["feature_names"]) == ("bird", 276, False)
    assert (watch["num_groups"], watch["input_shape"], watch["num_classes"]) == (10, [6, 128], 7)
    assert trained["diabetes.csv"][0]["target_unit"] == "points of a clinical score"


def test_the_page_names_every_field() -> None:
    text = PAGE.read_text()
    names = [name for name in UploadSpec.model_fields if name not in {"csv", "images"}]
    names += [f"csv.{name}" for name in CsvSpec.model_fields] + [f"images.{name}" for name in ImagesSpec.model_fields]
    fields = {name for cell in re.findall(r"^\| (`.*?`) \|", text, re.MULTILINE) for name in re.findall(r"`(.+?)`", cell)}
    assert {*names, *PreprocessingSpec.model_fields, "columns.*.order"} == fields - FILES.keys()
    assert [value for value in CsvSpec().missing_values if value and f"`{value}`" not in text] == []


def test_files_are_the_same_bytes_on_every_run(folder: Path, tmp_path: Path) -> None:
    _make(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert all(path.read_bytes() == (folder / path.name).read_bytes() for path in tmp_path.iterdir())
