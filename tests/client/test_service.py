"""Both clients against running services: embedded SQLite and PostgreSQL, real queue, real worker."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import holdout
from cli.service import Service
from holdout import JobCancelled, JobFailed, WaitTimeout
from tests.system import fresh_database, started
from training.export import load_safetensors

Connect = Callable[..., Any]
SMALL: dict[str, Any] = {"dataset": "iris", "seed": 0, "training": {"max_epochs": 4}}
LONG: dict[str, Any] = {**SMALL, "dataset": "digits", "training": {"max_epochs": 2000}}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    if request.param == "sqlite":
        yield request.getfixturevalue("service")
        return
    database = fresh_database(request.getfixturevalue("postgres_url"), "client")
    with pytest.MonkeyPatch.context() as monkeypatch, started(tmp_path_factory.mktemp("client"), monkeypatch, database) as found:
        yield found


@pytest.fixture
def client(running: Service, connect: Connect) -> Iterator[Any]:
    with connect(running.url) as found:
        yield found


def test_the_short_road_leads_from_a_spec_to_a_frame(client: Any) -> None:
    seen: list[tuple[str, float]] = []
    job = client.submit(SMALL, name="short road").wait(timeout=120, on_update=lambda job: seen.append((job.status, job.progress)))
    frame = job.curves()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame["epoch"]) == [0, 1, 2, 3, 4]
    assert set(frame["job"]) == {job.id}
    assert (frame["generalization_gap"] == frame["val_loss"] - frame["train_loss"]).all()
    assert seen[-1] == ("succeeded", 1.0)
    [curve] = client.jobs.curves(job.id)
    assert curve["val_loss"] == list(frame["val_loss"])
    [fit] = job.fits()
    assert curve.best() == (fit.best_epoch, fit.best.val_loss)
    assert (job.name, job.result.plan, client.jobs.result(job.id).sentence) == ("short road", "fit", job.result.sentence)
    assert "<svg" in job._repr_html_()


def test_every_epoch_is_told_and_the_end_last(client: Any) -> None:
    job = client.submit(SMALL)
    events = list(job.events())
    epochs = {event.data.epoch: event.data.val_loss for event in events if event.kind == "epoch"}
    assert events[-1].kind == "finished"
    assert events[-1].data.status == "succeeded"
    assert [event.version for event in events] == sorted(event.version for event in events)
    [curve] = client.jobs.curves(job.id)
    assert epochs == dict(zip(curve.epoch, curve["val_loss"], strict=True))
    assert [event.kind for event in job.events(events[-2].version - 1)][-1] == "finished"
    assert list(job.events(events[-1].version)) == []
    polled = client.jobs.curves(job.id, after_version=job.refresh().version)
    assert (len(polled.to_pandas()), polled[0]["val_loss"]) == (0, [])


def test_orders_are_obeyed_and_give_the_job_back(client: Any) -> None:
    job = client.submit(LONG)
    assert job.pause().id == job.id
    with pytest.raises(WaitTimeout):
        job.wait(timeout=0.5)
    assert job.refresh().status in {"paused", "running"}
    job.resume()
    job.cancel().cancel()  # again is no error
    with pytest.raises(JobCancelled) as raised:
        job.wait(timeout=60)
    assert raised.value.job.status == "cancelled"
    with pytest.raises(holdout.ConflictError) as refused:
        client.jobs.resume(job.id)
    assert refused.value.code
    job.delete()
    with pytest.raises(holdout.NotFoundError):
        job.refresh()


def test_a_job_goes_on_as_a_new_one(client: Any) -> None:
    job = client.submit(SMALL).wait(timeout=120)
    longer = job.extend(6).wait(timeout=120)
    assert (longer.continues, list(longer.curves()["epoch"])) == (job.id, [0, 1, 2, 3, 4, 5, 6])


def test_one_key_is_one_job(client: Any) -> None:
    key = str(uuid.uuid4())
    first, again = (client.submit(SMALL, idempotency_key=key) for _ in range(2))
    assert first.id == again.id
    with pytest.raises(holdout.UnprocessableEntityError) as refused:
        client.submit(SMALL, seed=1, idempotency_key=key)
    assert refused.value.code == "idempotency_key_reused"


def test_lists_are_read_page_by_page(client: Any) -> None:
    mark = uuid.uuid4().hex
    made = [client.submit(SMALL, metadata={"mark": mark}, name=f"no. {i}").id for i in range(5)]
    assert [job.id for job in client.jobs.list(metadata={"mark": mark}, limit=2)] == made[::-1]
    assert [job.id for job in client.jobs.list(metadata={"mark": mark}, sort="created_at", name="no. 3")] == [made[3]]
    parts = list(client.jobs.list(metadata={"mark": mark}, fields=["status"], limit=2))
    assert {frozenset(part.to_dict()) for part in parts} == {frozenset({"id", "status"})}
    page = client.jobs.page(metadata={"mark": mark}, limit=4)
    assert (len(page.items), page.has_more) == (4, True)
    assert len(client.jobs.page(metadata={"mark": mark}, limit=4, cursor=page.next_cursor).items) == 1


def test_a_frame_is_uploaded_learned_and_predicted(client: Any, tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(120, 2))
    frame = pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "kind": np.where(x.sum(axis=1) > 0, "up", "down")})
    dataset = client.datasets.upload(frame, target="kind", file_name=f"{uuid.uuid4().hex}.csv")
    assert (dataset.num_rows, dataset.class_labels) == (120, ["down", "up"])
    assert client.datasets.upload(frame, target="kind").id == dataset.id
    assert dataset.id in [one.id for one in client.datasets.list(limit=1)]
    job = client.submit(dataset=dataset.id, seed=0, training={"max_epochs": 30}, preprocessing={"missing": "median"}).wait(timeout=120)
    rows = pd.DataFrame({"a": [3.0, -3.0, np.nan], "b": [3.0, -3.0, 5.0]})
    assert job.predict(rows).predictions == ["up", "down", "up"]
    assert job.predict([[3.0, np.float64(3.0)]]).predictions == ["up"]
    assert "dense1.weight" in load_safetensors(job.download_model(tmp_path).read_bytes())
    assert job.download_model(tmp_path / "model.zip", "zip").read_bytes().startswith(b"PK")
    assert job.report(tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in client.jobs.report(job.id, kind="svg")
    assert client.jobs.curves_csv(job.id).startswith(b"fit,label,epoch,")
    with pytest.raises(holdout.ConflictError):
        client.datasets.delete(dataset.id)
    job.delete()
    client.datasets.delete(dataset.id)
    with pytest.raises(holdout.NotFoundError):
        client.datasets.get(dataset.id)


def test_what_is_refused_says_where_and_nothing_is_made(client: Any) -> None:
    with pytest.raises(holdout.UnprocessableEntityError) as refused:
        client.submit(dataset="digits", optimizer={"name": "adam", "learning_rate": -1}, epochs=3)
    assert {one["pointer"] for one in refused.value.errors} == {"/optimizer/learning_rate", "/epochs"}
    assert str(refused.value.request_id) in str(refused.value)
    with pytest.raises(holdout.NotFoundError) as unknown:
        client.jobs.get("job_nope")
    assert (unknown.value.status_code, unknown.value.code) == (404, "not_found")


def test_a_job_that_diverges_is_an_exception(client: Any) -> None:
    spec = {"dataset": "diabetes", "optimizer": {"name": "sgd", "learning_rate": 1e20}, "network": {"name": "mlp", "hidden_units": []}}
    with pytest.raises(JobFailed, match="diverged") as raised:
        client.submit(spec).wait(timeout=120)
    assert raised.value.job.failure.kind == "diverged"


def test_the_catalog_is_read(client: Any) -> None:
    assert {one["category"] for one in client.techniques()["items"]} >= {"optimizer", "plan"}
    assert client.limits().max_epochs > 0
    preview = client.jobs.preview(SMALL, seed=3)
    assert (preview.spec.seed, preview.num_fits, preview.layers[-1].name) == (3, 1, "output")
    assert "digits" in [one.id for one in client.datasets.list()]
    assert client.datasets.get("iris").num_rows == 150
    assert client.request("GET", "/healthz").json() == {"status": "ok"}


def test_waiting_and_following_outlast_an_api_that_dies(client: Any, running: Service) -> None:
    [api] = [process for process in running.processes if process.name == "api"]
    if not running.home.name.startswith("client"):
        return  # the other tests' service is left alone
    job = client.submit(LONG, training={"max_epochs": 60})
    killed: list[str] = []
    epochs = []
    for event in job.events():
        if event.kind == "epoch":
            epochs.append(event.data.epoch)
        if len(epochs) == 5 and not killed:
            killed.append("once")
            api.popen.kill()
    assert sorted(set(epochs)) == list(range(61))
    assert event.kind == "finished"
    assert job.wait(timeout=60).status == "succeeded"
