"""Runs, as MLflow's own client reads them from a tracking store on SQLite."""

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.utils import validation

import holdout.exports.mlflow as exports
from holdout.exports.mlflow import FIGURES, Told, log_to_mlflow
from holdout.exports.told import moments
from tests.handed_on import a_told_job

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy is deprecated:DeprecationWarning")
"""Of MLflow's store, which uses what SQLAlchemy is about to drop."""
DATASET = {"id": "digits", "content_hash": "ab" * 32, "num_rows": 1797, "num_classes": 10}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture
def client(store: Path, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.chdir(store)
    return MlflowClient(f"sqlite:///{store}/mlflow.db")


def _told(labels: tuple[str, ...] = ("holdout",), **fields: Any) -> Told:
    job, fits, curves = a_told_job(labels, **fields)
    return Told(job=job, fits=fits, curves=curves, dataset=DATASET, files={"report.svg": b"<svg/>"}, url="http://here")


def _runs(client: MlflowClient, experiment: str) -> dict[str, Run]:
    """List runs by their names."""
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return {run.info.run_name: run for run in client.search_runs([found.experiment_id])}


def _points(client: MlflowClient, run: Run, figure: str) -> list[tuple[int, int, float]]:
    found = client.get_metric_history(run.info.run_id, figure)
    return sorted((one.step, one.timestamp, one.value) for one in found)


def test_a_job_of_one_fit_is_one_run_with_its_curves_bit_for_bit(client: MlflowClient) -> None:
    told = _told()
    run_id = log_to_mlflow(told, client, "one")
    [run] = _runs(client, "one").values()
    assert (run.info.run_id, run.info.status, run.info.run_name) == (run_id, "FINISHED", "digits, told")
    curve = told.curves["fits"][0]
    times = [round(time * 1000) for time in moments(told.job, curve)]
    for figure in FIGURES:
        expected = [(i, times[i], value) for i, value in enumerate(curve.get(figure, ())) if value is not None]
        assert _points(client, run, figure) == expected, figure
    assert _points(client, run, "best_val_loss") == [(2, times[2], 1 / 3)]
    assert run.info.end_time - run.info.start_time == 8750


def test_settings_tags_files_and_the_dataset_are_there(client: MlflowClient, tmp_path: Path) -> None:
    told = _told()
    run = client.get_run(log_to_mlflow(told, client, "facts"))
    assert run.data.params["optimizer.learning_rate"] == "0.001"
    assert run.data.params["network.hidden_units"] == "[16, 8]"
    assert run.data.params["training.gradient_clip_norm"] == "null"
    tags = {
        "holdout.job": "job_01",
        "holdout.diagnosis": "overfitting",
        "holdout.dataset_hash": "ab" * 32,
        "mlflow.note.content": "it learned",
    }
    assert tags.items() <= run.data.tags.items()
    assert {one.path for one in client.list_artifacts(run.info.run_id)} == {"spec.json", "result.json", "fits.json", "report.svg"}
    file = client.download_artifacts(run.info.run_id, "spec.json", str(tmp_path))
    assert json.loads(Path(file).read_text()) == told.job["spec"]
    [given] = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.digest) == ("digits", ("ab" * 32)[:36])


def test_the_jobs_run_has_what_the_job_concluded(client: MlflowClient) -> None:
    figures = {"number": 1, "train": {"loss": 0.1}, "val": {"loss": 0.2}, "test": {"loss": 0.3}}
    result = {
        "sentence": "it learned",
        "fits": [figures, {**figures, "number": 2, "val": {"loss": 9.0}}],
        "model": {"fits": [1], "vote": None},
        "summary": {"val_loss": {"mean": 4.6, "std": 1.0, "low": 1.0, "high": 9.0, "count": 2}},
    }
    run = client.get_run(log_to_mlflow(_told(("a", "b"), result=result), client, "concluded"))
    assert run.data.metrics == {"result.train.loss": 0.1, "result.val.loss": 0.2, "result.test.loss": 0.3, "result.summary.val_loss": 4.6}


def test_a_job_of_many_fits_is_a_run_above_theirs(client: MlflowClient) -> None:
    parent = log_to_mlflow(_told(("fold 1", "fold 2")), client, "many")
    runs = _runs(client, "many")
    assert set(runs) == {"digits, told", "fold 1", "fold 2"}
    assert runs["digits, told"].data.metrics == {}
    for label in ("fold 1", "fold 2"):
        assert runs[label].data.tags["mlflow.parentRunId"] == parent
        assert len(_points(client, runs[label], "train_loss")) == 3
    assert [runs[label].data.params["optimizer.learning_rate"] for label in ("fold 1", "fold 2")] == ["0.001", "0.5"]


def test_what_was_logged_is_not_logged_again(client: MlflowClient) -> None:
    ids = {log_to_mlflow(_told(("a", "b")), client, "twice") for _ in range(2)}
    assert len(ids) == 1
    assert len(_runs(client, "twice")) == 3


def test_a_job_in_training_is_gone_on_with(client: MlflowClient) -> None:
    """Epochs come once, though a fit whose worker died tells other times of them; the second export ends the run."""
    job, fits, curves = a_told_job(status="running", finished_at=None, result=None)
    curve = curves["fits"][0]
    early = {name: values[:2] if isinstance(values, list) else values for name, values in curve.items()}
    started = [fits["items"][0] | {"status": "running", "best_epoch": 0, "best": {"train_loss": 2.3}}]
    log_to_mlflow(Told(job=job, fits={"items": started}, curves={"fits": [early]}), client, "going on")
    [run] = _runs(client, "going on").values()
    assert run.info.status == "RUNNING"
    later = _told(version=8)
    slower = later.curves["fits"][0] | {"seconds": [5.0, 6.0, 7.0]}
    log_to_mlflow(Told(job=later.job, fits=later.fits, curves={"fits": [slower]}), client, "going on")
    [run] = _runs(client, "going on").values()
    assert run.info.status == "FINISHED"
    assert [(step, value) for step, _, value in _points(client, run, "train_loss")] == list(enumerate(curve["train_loss"]))
    assert [step for step, _, _ in _points(client, run, "best_train_loss")] == [0, 2]


def test_batches_lengths_and_names_are_what_mlflow_takes(client: MlflowClient) -> None:
    epochs = 1500
    told = _told()
    spec = {
        **told.job["spec"],
        "metadata": {"k" * 300: "v", "a:b?": "1", "a:b!": "2", "../x": "3", "long": "w" * 7000},
        **{f"x{i}": i for i in range(150)},
    }
    curve = {
        "number": 1,
        "label": "holdout",
        "epoch": list(range(epochs)),
        "train_loss": [1 / (i + 1) for i in range(epochs)],
        "seconds": [0.1] * epochs,
    }
    long = Told(job={**told.job, "spec": spec}, fits=told.fits, curves={"fits": [curve]})
    run = client.get_run(log_to_mlflow(long, client, "limits"))
    assert [value for _, _, value in _points(client, run, "train_loss")] == curve["train_loss"]
    assert len(run.data.params["metadata.long"]) == 6000
    assert {"v", "1", "2", "3"} <= {value for name, value in run.data.params.items() if name.startswith("metadata.")}
    assert {run.data.params[f"x{i}"] for i in range(150)} == {str(i) for i in range(150)}


def test_the_limits_are_mlflows_own() -> None:
    assert validation.MAX_METRICS_PER_BATCH == exports._METRICS_AT_ONCE
    assert validation.MAX_PARAMS_TAGS_PER_BATCH == exports._OTHERS_AT_ONCE
    lengths = (
        validation.MAX_ENTITY_KEY_LENGTH,
        validation.MAX_PARAM_VAL_LENGTH,
        validation.MAX_TAG_VAL_LENGTH,
        validation.MAX_DATASET_DIGEST_SIZE,
    )
    assert lengths == (exports._NAME_LENGTH, exports._PARAM_LENGTH, exports._TAG_LENGTH, exports._DIGEST_LENGTH)
