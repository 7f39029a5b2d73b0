"""`holdout export` against the running service; what it leaves is opened by TensorBoard, MLflow and pandas."""

import csv
import math
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from typer.testing import CliRunner, Result

from cli.main import app
from cli.service import Service
from tests.system import Client

PAGE = Path(__file__).parents[2] / "docs" / "neighbours.md"
FOLDS: dict[str, Any] = {
    "dataset": "iris",
    "training": {"max_epochs": 3},
    "split": {"name": "k_fold", "folds": 3},
    "network": {"name": "mlp", "hidden_units": [4]},
}


@pytest.fixture(scope="module")
def job(client: Client) -> dict[str, Any]:
    """Train three folds."""
    return client.until(client.submit(**FOLDS)["id"], "succeeded")


def _export(service: Service, job_id: str, *options: str, url: str = "") -> Result:
    environment = {"HOLDOUT_URL": url or service.url, "HOLDOUT_API_KEY": "", "COLUMNS": "200"}
    return CliRunner().invoke(app, ["export", job_id, *options], env=environment, catch_exceptions=False)


def _columns(client: Client, job: dict[str, Any]) -> list[dict[str, Any]]:
    fits: list[dict[str, Any]] = client.get(f"/v1/jobs/{job['id']}/curves")["fits"]
    return fits


def test_tensorboard_opens_the_export(service: Service, client: Client, job: dict[str, Any], tmp_path: Path) -> None:
    done = _export(service, job["id"], "--to", "tensorboard", "--folder", str(tmp_path))
    assert (done.exit_code, f"tensorboard --logdir {tmp_path}" in done.stdout) == (0, True)
    found = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(str(tmp_path)).Reload()
    assert len(found.Runs()) == 9
    for curve in _columns(client, job):
        run = f"{job['id']}/fit-{curve['number']}-fold-{curve['number']}"
        for split in ("train", "val"):
            for score in ("loss", "accuracy"):
                told = {one.step: one.value for one in found.Scalars(f"{run}/{split}", score)}
                expected = zip(curve["epoch"], curve[f"{split}_{score}"], strict=True)
                assert told == {epoch: float(np.float32(value)) for epoch, value in expected}


@pytest.mark.filterwarnings(
    "ignore:The ..noload.. loader strategy is deprecated:DeprecationWarning"
)  # MLflow's store uses what SQLAlchemy is about to drop
def test_mlflow_opens_the_export_and_a_second_one_adds_nothing(
    service: Service, client: Client, job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        done = _export(service, job["id"], "--to", "mlflow", "--tracking-uri", "sqlite:///runs.db", "--experiment", "folds")
        assert done.exit_code == 0, done.output
    opened = MlflowClient("sqlite:///runs.db")
    experiment = opened.get_experiment_by_name("folds")
    assert experiment is not None
    runs = {run.data.tags.get("holdout.fit", ""): run for run in opened.search_runs([experiment.experiment_id])}
    assert sorted(runs) == ["", "1", "2", "3"]
    for curve in _columns(client, job):
        for name in set(curve) - {"number", "label", "epoch", "best_epoch", "last_epoch"}:
            history = opened.get_metric_history(runs[str(curve["number"])].info.run_id, name)
            present = {epoch: value for epoch, value in zip(curve["epoch"], curve[name], strict=True) if value is not None}
            assert len(history) == len(present)
            assert {one.step: one.value for one in history} == present, name
    files = {one.path for one in opened.list_artifacts(runs[""].info.run_id)}
    assert {"spec.json", "result.json", "fits.json", "report.svg"} <= files
    dataset = client.get("/v1/datasets/iris")
    assert runs[""].data.tags["holdout.dataset_hash"] == dataset["content_hash"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tables_hold_every_epoch(service: Service, client: Client, job: dict[str, Any], tmp_path: Path, kind: str) -> None:
    done = _export(service, job["id"], "--to", kind, "--folder", str(tmp_path / "new"))
    file = Path(done.stdout.strip())
    assert file == tmp_path / "new" / f"{job['id']}.{kind}"
    if kind == "csv":
        losses = [float(row["val_loss"]) for row in csv.DictReader(file.read_text().splitlines())]
    else:
        losses = pq.read_table(file)["val_loss"].to_pylist()
    assert losses == [value for curve in _columns(client, job) for value in curve["val_loss"]]
    assert all(map(math.isfinite, losses))


def test_the_commands_and_the_program_of_the_page_run(
    service: Service, job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those for MLflow's server need one; they are the ones above with another address."""
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text()
    commands = re.findall(r"^holdout export JOB (.*)$", page, re.MULTILINE)
    assert len(commands) == 3
    for options in commands:
        if "mlflow" not in options:
            assert _export(service, job["id"], *options.split()).exit_code == 0
    assert {path.name for path in (tmp_path / "exports").iterdir()} == {job["id"], f"{job['id']}.csv"}
    assert _export(service, job["id"], "--to", "parquet", "--folder", ".").exit_code == 0
    for program in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(program.replace("JOB", job["id"]), {})
    assert capsys.readouterr().out.count("fold") == 3


def test_what_cannot_be_exported_is_said_and_what_to_do(service: Service, tmp_path: Path) -> None:
    unknown = _export(service, "job_nowhere", "--to", "csv", "--folder", str(tmp_path / "none"))
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("error: there is no job job_nowhere\n")
    assert "do: `holdout jobs list` shows yours\n" in unknown.stderr
    assert _export(service, "../jobs?limit=1", "--to", "csv", "--folder", str(tmp_path / "none")).exit_code == 2
    assert not (tmp_path / "none").exists()
    silent = _export(service, "job_1", "--to", "csv", url="http://127.0.0.1:1")
    assert (silent.exit_code, "start a service by `holdout up`" in silent.stderr) == (1, True)


def test_a_tracking_server_that_is_away_is_told_and_not_waited_for(
    service: Service, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "")  # so that what the command sets is undone
        monkeypatch.delenv(name)
    away = _export(service, job["id"], "--to", "mlflow", "--tracking-uri", "http://127.0.0.1:1")
    assert (away.exit_code, "\nerror: MLflow at http://127.0.0.1:1 is away" in f"\n{away.stderr}") == (1, True)  # after what urllib3 logs
    assert (os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"], os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]) == ("1", "10")


@pytest.mark.parametrize("extra", ["tensorboard", "mlflow"])
def test_an_extra_that_is_not_installed_is_named(service: Service, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package = {"tensorboard": "tensorboardX.event_file_writer", "mlflow": "mlflow"}[extra]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"holdout.exports.{extra}", raising=False)
    done = _export(service, "job_1", "--to", extra)
    assert (done.exit_code, f"pip install 'holdout[{extra}]'" in done.stderr) == (1, True)
