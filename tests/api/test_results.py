"""Curves, fits, events, pictures, catalog and health over HTTP."""

import csv
import io
import os
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update

from api.app import create_app
from api.curves import chosen_points, smooth
from api.examples import JOBS
from api.settings import ApiSettings
from api.techniques import techniques
from jobs.spec import JobSpec
from jobs.states import JobStatus
from store.artifacts import Artifacts
from store.commits import Finish, commit
from store.engine import Database
from store.epochs import FitCurve, curves
from store.jobs import get_job
from store.tables import EventRow, JobRow
from store.workers import beat
from tests.api.conftest import NOWHERE, StrictClient
from tests.factories import LEASE, a_claim, a_job, a_record, a_succeeded_job, an_end

BETA = 0.6


def test_curves_are_columns_with_a_derived_gap(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    found = client.get(f"/v1/jobs/{job_id}/curves").json()
    [curve] = found["fits"]
    assert curve["epoch"] == [0, 1, 2, 3, 4]
    assert curve["generalization_gap"] == [val - train for val, train in zip(curve["val_loss"], curve["train_loss"], strict=True)]
    assert "train_rmse" not in curve
    assert (found["sampled"], curve["best_epoch"], curve["last_epoch"]) == (False, 1, 4)
    later = client.get(f"/v1/jobs/{job_id}/curves?after_version={found['version'] - 1}").json()["fits"][0]
    assert (later["epoch"], later["last_epoch"]) == ([4], 4)


def test_smoothing_is_the_bias_corrected_average_and_leaves_raw_values(client: StrictClient, db: Database) -> None:
    """v_t = beta v_(t-1) + (1 - beta) x_t, returned v_t / (1 - beta^t), epoch 0 as t = 1."""
    job_id = a_succeeded_job(db)
    raw = client.get(f"/v1/jobs/{job_id}/curves").json()["fits"][0]
    curve = client.get(f"/v1/jobs/{job_id}/curves?smoothing={BETA}").json()["fits"][0]
    assert curve["train_loss"] == raw["train_loss"]
    average, expected = 0.0, []
    for t, value in enumerate(raw["train_loss"], start=1):
        average = BETA * average + (1 - BETA) * value
        expected.append(average / (1 - BETA**t))
    assert curve["smoothed"]["train_loss"] == pytest.approx(expected)
    assert curve["smoothed"]["objective"][0] is None
    version = client.get(f"/v1/jobs/{job_id}").json()["version"]
    tail = client.get(f"/v1/jobs/{job_id}/curves?smoothing={BETA}&after_version={version - 1}").json()["fits"][0]
    assert tail["smoothed"]["train_loss"] == pytest.approx(expected[-1:])


@pytest.mark.parametrize(("epochs", "max_points"), [(1000, 10), (100, 50), (100, 51), (99, 3), (30, 100)])
def test_what_the_database_leaves_out_nobody_would_have_seen(db: Database, client: StrictClient, epochs: int, max_points: int) -> None:
    """Of a long curve only so many rows are read; the first, the last and the best are among them, evenly, and no fewer are given."""
    job_id = a_succeeded_job(db, epochs=epochs)
    [read] = curves(db, job_id, max_points=max_points).fits
    assert min(epochs + 1, max_points) <= len(read.epoch) <= max(2 * max_points + 3, epochs + 1 if epochs + 1 < 2 * max_points else 0)
    answer = client.get(f"/v1/jobs/{job_id}/curves?max_points={max_points}").json()
    [shown], [whole] = answer["fits"], curves(db, job_id).fits
    assert {0, 1, epochs} <= set(shown["epoch"])
    assert min(epochs + 1, max_points - 1) <= len(shown["epoch"]) <= max_points  # the best may be one of the even ones
    assert answer["sampled"] is (epochs + 1 > max_points)
    assert shown["val_loss"] == [whole.columns["val_loss"][epoch] for epoch in shown["epoch"]]
    widest = max(after - before for before, after in pairwise(shown["epoch"]))
    assert widest <= 3 * (epochs + 1) / max_points + 1
    smoothed = client.get(f"/v1/jobs/{job_id}/curves?max_points={max_points}&smoothing=0.5").json()["fits"][0]
    assert abs(len(smoothed["epoch"]) - len(shown["epoch"])) <= 1


def test_columns_asked_for_are_those_given_and_the_same(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    whole = client.get(f"/v1/jobs/{job_id}/curves?max_points=3").json()["fits"][0]
    some = client.get(f"/v1/jobs/{job_id}/curves?max_points=3&columns=val_loss,generalization_gap,val_r2").json()["fits"][0]
    assert some.keys() == {"number", "label", "epoch", "val_loss", "generalization_gap", "best_epoch", "last_epoch"}
    assert some == {name: whole[name] for name in some}
    refused = client.get(f"/v1/jobs/{job_id}/curves?columns=val_loss,nonsense")
    assert refused.status_code == 422
    assert "columns" in str(refused.json()["errors"])


def test_smoothing_a_constant_changes_nothing() -> None:
    assert smooth([2.0, 2.0, None, 2.0], 0.9) == [pytest.approx(2.0), pytest.approx(2.0), None, pytest.approx(2.0)]
    assert smooth([1.0, 3.0], 0.0) == [1.0, 3.0]


@given(count=st.integers(0, 300), max_points=st.integers(3, 50), data=st.data())
def test_thinning_keeps_first_last_and_best(count: int, max_points: int, data: st.DataObject) -> None:
    best = data.draw(st.none() | st.integers(0, max(0, count - 1)))
    losses = data.draw(st.lists(st.none() | st.floats(0, 10), min_size=count, max_size=count))
    figure = data.draw(st.sampled_from(["val_loss", "train_loss"]))  # without validation rows the only one
    columns = {"train_loss": [1.0] * count, figure: losses}
    curve = FitCurve(number=1, label="x", best_epoch=best, last_epoch=count - 1, epoch=list(range(count)), columns=columns)
    chosen = chosen_points(curve, max_points)
    assert len(chosen) <= max(max_points, 0)
    assert chosen == sorted(set(chosen))
    if count:
        assert {0, count - 1} <= set(chosen)
        assert best is None or best in chosen
        present = [loss for loss in losses if loss is not None]
        assert best is not None or not present or min(present) in [losses[i] for i in chosen], "the best so far of a fit in training"
    if count >= max_points:
        assert len(chosen) >= min(count, max_points) * 0.6


def test_a_long_curve_is_thinned_and_says_so(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db, epochs=40)
    found = client.get(f"/v1/jobs/{job_id}/curves?max_points=10").json()
    assert found["sampled"]
    epochs = found["fits"][0]["epoch"]
    assert len(epochs) <= 10
    assert {0, 1, 40} <= set(epochs)
    assert len(found["fits"][0]["val_loss"]) == len(epochs)


def test_csv_holds_the_same_numbers(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    curve = client.get(f"/v1/jobs/{job_id}/curves").json()["fits"][0]
    for answer in (client.get(f"/v1/jobs/{job_id}/curves.csv"), client.get(f"/v1/jobs/{job_id}/curves", headers={"Accept": "text/csv"})):
        assert answer.headers["content-type"].startswith("text/csv")
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [float(row["val_loss"]) for row in rows] == curve["val_loss"]
        assert rows[0]["learning_rate"] == ""
        assert rows[0]["train_rmse"] == ""


@pytest.mark.parametrize(
    "query", ["fits=0", "fits=x", "fits=1,", "smoothing=1", "smoothing=-0.1", "max_points=2", "after_version=-1", "bad=1"]
)
def test_wrong_curve_parameters_are_refused(client: StrictClient, db: Database, query: str) -> None:
    assert client.get(f"/v1/jobs/{a_job(db).job.id}/curves?{query}").status_code == 422


def test_a_fit_that_does_not_exist_is_not_found(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    for path in ("curves?fits=2", "curves?fits=1,2,3", "curves.csv?fits=2", "curves.parquet?fits=2", "fits/2", "model?fit=2"):
        refused = client.get(f"/v1/jobs/{job_id}/{path}")
        assert (refused.status_code, refused.json()["code"]) == (404, "not_found")
        assert refused.json()["detail"] == f"job {job_id} has no fit 2"
    assert client.get("/v1/jobs/job_nope/curves?fits=2").json()["detail"] == "nothing has this id"
    assert client.get(f"/v1/jobs/{job_id}/fits/0").status_code == 422


def test_fits_carry_figures_gap_and_diagnosis(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    [fit] = client.get(f"/v1/jobs/{job_id}/fits").json()["items"]
    assert fit == client.get(f"/v1/jobs/{job_id}/fits/1").json()
    assert (fit["best_epoch"], fit["last_epoch"], fit["stop_reason"]) == (1, 4, "max_epochs")
    assert fit["best"]["generalization_gap"] == fit["best"]["val_loss"] - fit["best"]["train_loss"]
    assert fit["diagnosis"]["verdict"] in {"underfitting", "good_fit", "overfitting", "still_improving"}
    assert fit["diagnosis"]["rule"]
    assert client.get(f"/v1/jobs/{a_job(db).job.id}/fits/1").json()["diagnosis"] is None


def test_a_result_is_there_once_the_job_succeeded(client: StrictClient, db: Database) -> None:
    assert client.get(f"/v1/jobs/{a_succeeded_job(db)}/result").json()["plan"] == "fit"
    answer = client.get(f"/v1/jobs/{a_job(db).job.id}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "no_result")


def test_weights_are_downloaded_and_go_with_their_job(client: StrictClient, db: Database, tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path}/artifacts")
    key = artifacts.write("jobs/job_1/fit-1.safetensors", b"weights")
    job_id = a_succeeded_job(db, weights_url=key)
    answer = client.get(f"/v1/jobs/{job_id}/model")
    assert (answer.status_code, answer.content) == (200, b"weights")
    client.delete(f"/v1/jobs/{job_id}")
    with pytest.raises(FileNotFoundError):
        artifacts.read(key)
    assert client.get(f"/v1/jobs/{a_job(db).job.id}/model").status_code == 409


def test_events_come_as_pages_and_as_a_stream(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    page = client.get(f"/v1/jobs/{job_id}/events", headers={"Accept": "application/json"}).json()
    kinds = [event["kind"] for event in page["events"]]
    assert kinds == ["status", "status", *["epoch"] * 5, "fit", "status", "finished"]
    stream = client.get(f"/v1/jobs/{job_id}/events")
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert [line.removeprefix("event: ") for line in stream.text.splitlines() if line.startswith("event: ")] == kinds
    ids = [int(line.removeprefix("id: ")) for line in stream.text.splitlines() if line.startswith("id: ")]
    assert ids == sorted(set(ids))
    assert ids[-1] == page["version"]
    assert client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(ids[-1])}).status_code == 204
    resumed = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(ids[-2])}).text
    assert [line for line in resumed.splitlines() if line.startswith("event: ")] == [
        "event: epoch",
        "event: fit",
        "event: status",
        "event: finished",
    ]


def test_a_stream_tells_what_happens_while_it_is_open_and_ends_with_the_job(client: StrictClient, db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    newest = get_job(db, created.job.id).version

    def work() -> None:
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
        commit(
            db, held, lease_seconds=LEASE, epochs=[a_record(1)], outcomes=[an_end(last_epoch=1)], finish=Finish(status=JobStatus.SUCCEEDED)
        )

    worker = threading.Timer(0.3, work)
    worker.start()
    stream = client.get(f"/v1/jobs/{created.job.id}/events", headers={"Last-Event-ID": str(newest)}).text
    worker.join()
    assert [line.removeprefix("event: ") for line in stream.splitlines() if line.startswith("event: ")] == [
        "epoch",
        "epoch",
        "fit",
        "status",
        "finished",
    ]


def test_a_stream_of_an_ended_job_never_waits(client: StrictClient, db: Database) -> None:
    """Though its version rose after its last event, or it has no events at all."""
    job_id = a_succeeded_job(db)
    last = get_job(db, job_id).version
    with db.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(version=last + 5))
    assert client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(last)}).status_code == 204
    assert "event: finished" in client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": str(last - 1)}).text
    with db.write() as connection:
        connection.execute(delete(EventRow).where(EventRow.job_id == job_id, EventRow.kind == "finished"))
    assert client.get(f"/v1/jobs/{job_id}/events").text.count("event: ") == 9


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30])
def test_a_foreign_event_id_is_refused(client: StrictClient, db: Database, value: str) -> None:
    assert client.get(f"/v1/jobs/{a_succeeded_job(db)}/events", headers={"Last-Event-ID": value}).status_code == 422


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_pictures_are_drawn_for_every_state(client: StrictClient, db: Database, kind: str) -> None:
    for job_id in (a_job(db).job.id, a_succeeded_job(db), a_succeeded_job(db, name="a $\\frac$ <b>", epochs=2)):
        answer = client.get(f"/v1/jobs/{job_id}/report.{kind}")
        assert answer.status_code == 200
        assert answer.content.startswith(b"\x89PNG" if kind == "png" else b"<?xml")


def test_datasets_are_listed_with_what_is_missing_and_why(
    lite_client: StrictClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDOUT_FASHION_MNIST", str(tmp_path))
    found = lite_client.get("/v1/datasets").json()
    tables = {"iris", "wine", "breast_cancer", "diabetes", "moons", "spirals", "noisy_sine"}
    tables |= {"sunspots", "penguins"}
    assert tables | {"digits", "waves", "solids", "colored_shapes", "bright_half", "photo_patches", "watch"} == {
        one["id"] for one in found["items"]
    }
    [missing] = found["unavailable"]
    assert missing["id"] == "fashion_mnist"
    assert "dataset-fashion-mnist" in missing["unavailable_reason"]
    assert lite_client.get("/v1/datasets/digits").json()["input_shape"] == [1, 8, 8]
    answer = lite_client.post("/v1/jobs", json={"dataset": "fashion_mnist"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "dataset_unavailable")


def test_techniques_are_read_off_the_specs(lite_client: StrictClient) -> None:
    found = lite_client.get("/v1/techniques").json()
    names = {(one["category"], one["name"]) for one in found["items"]}
    assert {
        ("optimizer", "adam"),
        ("network", "cnn"),
        ("normalization", "layer_norm"),
        ("activation", "gelu"),
        ("plan", "fit"),
        ("split", "holdout"),
    } <= names
    [adam] = [one for one in found["items"] if one["name"] == "adam"]
    assert adam["defaults"]["learning_rate"] == 0.001
    assert adam["references"] == ["Kingma & Ba 2015"]
    assert found["limits"]["max_parameters"] == 20_000_000
    assert found["limits"] == lite_client.get("/v1/limits").json()
    assert {"max_body_bytes", "max_queued_jobs"} <= found["limits"].keys()
    assert found["job_schema"]["required"] == ["dataset"]
    assert all(one["rule"] for one in found["items"])


def test_every_technique_says_where_it_comes_from_or_is_a_plain_choice() -> None:
    plain = {"fit", "comparison", "holdout", "predefined", "cross_entropy", "squared_error", "mlp", "cnn", "preprocessing"}
    plain |= {"constant", "step", "exponential", "reduce_on_plateau", "regularization"}
    plain |= {"flip", "rotate", "scale", "translate", "jitter", "hsv", "signal_shift"}
    assert {one.name for one in techniques() if not one.references} <= plain


def test_readiness_names_what_is_missing(client: StrictClient, db: Database) -> None:
    """B102."""
    assert client.get("/healthz").json() == {"status": "ok"}
    a_job(db)
    answer = client.get("/readyz")
    found = answer.json()
    assert (answer.status_code, found["status"], found["queued"]) == (503, "not_ready", 1)
    assert found["checks"]["database"] == "ok"
    assert found["checks"]["broker"] != "ok"
    assert found["oldest_queued_seconds"] >= 0
    beat(db, "w/1", ["cpu"], {})
    assert client.get("/readyz").json()["checks"]["worker"] == "ok"


def test_metrics_count_jobs(client: StrictClient, db: Database) -> None:
    a_job(db)
    text = client.get("/metrics").text
    assert 'holdout_jobs{status="queued"} 1.0' in text
    assert "holdout_workers 0.0" in text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("PUT", "/v1/jobs", 405),
        ("POST", "/healthz", 405),
        ("GET", "/v1/jobs/a/b/c", 404),
        ("GET", "/healthz?x=1", 422),
    ],
)
def test_the_frameworks_own_errors_are_problems_too(lite_client: StrictClient, method: str, path: str, status: int) -> None:
    assert lite_client.request(method, path).status_code == status


def test_a_database_that_is_gone_is_a_503(tmp_path: Path) -> None:
    gone = ApiSettings(home=tmp_path, database_url="postgresql://nobody:secret@127.0.0.1:1/x", broker_url=NOWHERE)
    with StrictClient(create_app(gone), raise_server_exceptions=False) as client:
        answer = client.get("/v1/jobs")
        assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
        assert "secret" not in answer.text
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").json()["checks"]["database"] != "ok"


def test_an_unexpected_error_tells_nothing_but_its_request_id(
    lite_client: StrictClient, sqlite_db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("secret in /etc/x")

    monkeypatch.setattr("api.routes.jobs.get_job", broken)
    answer = lite_client.get(f"/v1/jobs/{a_job(sqlite_db).job.id}", headers={"X-Request-Id": "mine"})
    assert (answer.status_code, answer.json()["code"], answer.json()["request_id"]) == (500, "internal", "mine")
    assert "secret" not in answer.text


def test_openapi_documents_every_error_and_every_reference_resolves(lite_client: StrictClient) -> None:
    document = lite_client.get("/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert "HTTPValidationError" not in schemas

    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [one for value in part.values() for one in references(value)]
        return [one for value in part for one in references(value)] if isinstance(part, list) else []

    assert {one.removeprefix("#/components/schemas/") for one in references(document)} <= schemas.keys()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert "description" in operation, (method, path)
            assert "500" in operation["responses"], (method, path)
            for status, answer in operation["responses"].items():
                if status.startswith(("4", "5")) and path != "/readyz":
                    assert list(answer["content"]) == ["application/problem+json"], (method, path, status)


def test_swagger_ui_needs_no_other_host(lite_client: StrictClient) -> None:
    page = lite_client.get("/docs").text
    assert "cdn" not in page
    assert lite_client.get("/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_examples_of_the_documentation_are_accepted(lite_client: StrictClient) -> None:
    document = lite_client.get("/openapi.json").json()
    available = {dataset["id"] for dataset in lite_client.get("/v1/datasets").json()["items"]}
    for path in ("/v1/jobs", "/v1/previews"):
        examples = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["examples"]
        assert examples.keys() == {name for name, one in JOBS.items() if one["value"]["dataset"] in available}
        for example in examples.values():
            assert lite_client.post(path, json=example["value"]).status_code in {200, 201}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*JobSpec.model_fields, "name", "x"]), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(body=st.dictionaries(st.sampled_from([*JobSpec.model_fields, "x"]), _JSON, max_size=5))
def test_no_body_breaks_the_api(lite_client: StrictClient, body: dict[str, Any]) -> None:
    assert lite_client.post("/v1/previews", json={"dataset": "iris", **body}).status_code in {200, 422}


def test_starting_the_api_loads_no_library_that_reading_does_without(sqlite_db: Database, tmp_path: Path) -> None:
    """Also not by opening the application, as a server does before its first request."""
    program = """
import sys
from fastapi.testclient import TestClient
import api.app
with TestClient(api.app.create_app()) as client:
    assert client.get("/v1/jobs").status_code == 200
large = {"torch", "sklearn", "scipy", "pandas", "matplotlib", "onnx", "onnxruntime", "pyarrow"}
print(*(large & sys.modules.keys()))
"""
    url = sqlite_db.engine.url.render_as_string(hide_password=False)
    environment = {**os.environ, "HOLDOUT_DATABASE_URL": url, "HOLDOUT_BROKER_URL": NOWHERE, "HOLDOUT_HOME": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


def test_a_result_of_another_shape_hides_no_job(client: StrictClient, db: Database) -> None:
    """One that an older release stored must not take the list of all jobs with it."""
    job_id = a_succeeded_job(db)
    with db.write() as connection:
        connection.execute(update(JobRow).where(JobRow.id == job_id).values(result={"plan": "comparison", "best": "gone"}))
    assert client.get(f"/v1/jobs/{job_id}").json()["outcome"] is None
    assert [one["id"] for one in client.get("/v1/jobs").json()["items"]] == [job_id]
    assert client.get(f"/v1/jobs/{job_id}/fits").status_code == 200
