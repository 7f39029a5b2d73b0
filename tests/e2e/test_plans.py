"""Jobs of many fits on two worker processes: shared, killed, cancelled, followed, deleted."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from cli.service import Service
from jobs.states import JobStatus, ShardStatus
from store.tables import EpochRow, FitRow, JobRow, ShardRow
from tests.system import Client, started, without_clock
from training.export import load_safetensors

SMALL = {"network": {"name": "mlp", "hidden_units": [8]}, "evaluation": {"resamples": 100}}
HUNDRED = {"dataset": "iris", **SMALL, "plan": {"name": "bagging", "members": 100}, "training": {"max_epochs": 8}}
BOOSTING = {
    **SMALL,
    "network": {"name": "mlp", "hidden_units": [2]},
    "plan": {"name": "boosting", "members": 3},
    "training": {"max_epochs": 120},
}
"""Rounds that last long enough for a test to see them, on a fast machine, too."""
HALVING = {
    **SMALL,
    "plan": {
        "name": "search",
        "method": "random",
        "candidates": 4,
        "halving": {"factor": 2, "first_epochs": 30},
        "space": {"/optimizer/learning_rate": {"low": 1e-4, "high": 0.1, "log": True}},
    },
    "training": {"max_epochs": 120},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a system of two worker processes that take checkpoints all the time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("HOLDOUT_CONCURRENCY", "2")
        monkeypatch.setenv("HOLDOUT_CHECKPOINT_SECONDS", "0.2")
        with started(tmp_path_factory.mktemp("pair"), monkeypatch) as found:
            yield found


@pytest.fixture(scope="module")
def client(pair: Service) -> Iterator[Client]:
    with Client(pair.url) as found:
        yield found


@pytest.fixture(scope="module")
def undisturbed(client: Client) -> dict[str, Any]:
    """Run the job of a hundred fits in peace."""
    return client.until(client.submit(**HUNDRED)["id"], "succeeded")


def _curves(client: Client, job_id: str) -> list[dict[str, Any]]:
    return [without_clock(curve) for curve in client.get(f"/v1/jobs/{job_id}/curves?max_points=100000")["fits"]]


def _weights(service: Service, job_id: str) -> dict[int, dict[str, bytes]]:
    """Read what the fits kept; a worker that died may have left files of earlier attempts beside them."""
    with service.database.read() as connection:
        kept = connection.execute(select(FitRow.number, FitRow.weights_url).where(FitRow.job_id == job_id)).all()
    files = {number: (service.home / "artifacts" / url).read_bytes() for number, url in kept if url is not None}
    return {number: {name: values.tobytes() for name, values in load_safetensors(content).items()} for number, content in files.items()}


def _assert_alike(client: Client, service: Service, one: str, other: str) -> None:
    assert client.get(f"/v1/jobs/{one}/result") == client.get(f"/v1/jobs/{other}/result")
    assert _curves(client, one) == _curves(client, other)
    assert _weights(service, one) == _weights(service, other)


def _shards(service: Service, job_id: str) -> list[Any]:
    with service.database.read() as connection:
        return list(connection.execute(select(ShardRow.__table__).where(ShardRow.job_id == job_id)))


def _status(service: Service, job_id: str) -> JobStatus:
    with service.database.read() as connection:
        return JobStatus(connection.scalar(select(JobRow.status).where(JobRow.id == job_id)))


def _lose_a_worker(
    client: Client, service: Service, fields: dict[str, Any], *, shard_round: int = 0, rows: int = 1, writings: int = 1
) -> tuple[str, int]:
    """Run jobs until one lost the worker that was at a round of its, `rows` steps behind it, and had written so often; give it, succeeded, and its version.

    A round may be over before anybody sees it, or before the signal arrives: the next job is another chance, and each must succeed.
    """
    for _ in range(30):
        job_id = client.submit(**fields)["id"]
        version, steps = 0, set[int]()
        while _status(service, job_id) in {JobStatus.QUEUED, JobStatus.RUNNING}:
            at_work = [one for one in _shards(service, job_id) if one.status == ShardStatus.RUNNING and one.round == shard_round]
            steps |= {one.furthest_step for one in at_work if one.furthest_step}
            if at_work and at_work[0].furthest_step >= rows and len(steps) >= writings:
                version = client.job(job_id)["version"]
                os.kill(int(at_work[0].worker.rpartition("/")[2]), signal.SIGKILL)
                break
        client.until(job_id, "succeeded")
        if max(one.attempt for one in _shards(service, job_id) if one.round == shard_round) == 2:
            return job_id, version
    raise AssertionError("no job of thirty lost a worker")


def _attempts(service: Service, job_id: str) -> list[int]:
    return [one.attempt for one in _shards(service, job_id)]


def test_a_job_of_a_hundred_fits_is_shared_by_two_workers(client: Client, pair: Service, undisturbed: dict[str, Any]) -> None:
    """B010: both train, each epoch is there once, and what is told of the job is whole."""
    job_id = undisturbed["id"]
    assert len({one.worker for one in _shards(pair, job_id)}) == 2
    assert (undisturbed["fit_counts"], undisturbed["progress"], undisturbed["num_fits"]) == ({"finished": 100}, 1.0, 100)
    assert [curve["epoch"] for curve in _curves(client, job_id)] == [list(range(9))] * 100
    assert len(_weights(pair, job_id)) == 100
    answer = client.request("GET", f"/v1/jobs/{job_id}/curves")
    same = client.request("GET", f"/v1/jobs/{job_id}/curves", headers={"If-None-Match": answer.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    answer = client.request("GET", f"/v1/jobs/{job_id}")
    assert client.request("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_the_story_of_a_hundred_fits_is_told_whole_in_pages(client: Client, undisturbed: dict[str, Any]) -> None:
    told, version, has_more = [], 0, True
    while has_more:
        page = client.get(f"/v1/jobs/{undisturbed['id']}/events?after_version={version}", headers={"Accept": "application/json"})
        told, version, has_more = told + page["events"], page["version"], page["has_more"]
    epochs = [(one["data"]["fit"], one["data"]["epoch"]) for one in told if one["kind"] == "epoch"]
    assert sorted(epochs) == [(fit, epoch) for fit in range(1, 101) for epoch in range(9)]
    assert sorted(one["data"]["fit"] for one in told if one["kind"] == "fit") == list(range(1, 101))
    assert [one["data"]["status"] for one in told if one["kind"] == "status"] == ["queued", "running", "succeeded"]
    assert [one["kind"] for one in told].index("finished") == len(told) - 1
    assert [one["version"] for one in told] == sorted(one["version"] for one in told)


def test_curves_of_many_fits_can_be_read_bit_by_bit_while_progress_rises(client: Client) -> None:
    """B051."""
    job_id = client.submit(**HUNDRED, seed=1)["id"]
    seen: dict[int, list[int]] = {number: [] for number in range(1, 101)}
    version, progress = 0, [0.0]
    while True:
        answer = client.get(f"/v1/jobs/{job_id}/curves?after_version={version}")
        for curve in answer["fits"]:
            seen[curve["number"]] += curve["epoch"]
        job = client.job(job_id)
        progress.append(job["progress"])
        if job["status"] == "succeeded" and job["version"] == answer["version"]:
            break
        assert job["status"] in {"queued", "running", "succeeded"}
        version = answer["version"]
    assert seen == {number: list(range(9)) for number in range(1, 101)}
    assert progress == sorted(progress)
    assert progress[-1] == 1.0


def test_a_list_of_such_jobs_carries_no_curve_and_takes_as_many_queries_as_any(
    client: Client, pair: Service, undisturbed: dict[str, Any]
) -> None:
    from store.listing import JobFilter
    from tests.pages import list_jobs

    [listed] = [one for one in client.get("/v1/jobs?limit=100")["items"] if one["id"] == undisturbed["id"]]
    short = {name: value for name, value in undisturbed["result"].items() if not isinstance(value, list)}
    assert {"sentence", "model"} <= short.keys()
    assert "fits" not in short
    assert listed == {**undisturbed, "result": short}
    assert "train_loss" not in json.dumps({name: value for name, value in listed.items() if name != "result"})
    counts = []
    for limit in (1, 100):
        asked: list[str] = []

        def note(*arguments: Any, found: list[str] = asked) -> None:
            found.append(arguments[2])

        event.listen(pair.database.engine, "before_cursor_execute", note)
        list_jobs(pair.database, JobFilter(), owner=None, limit=limit)
        event.remove(pair.database.engine, "before_cursor_execute", note)
        counts.append(sum(one.lstrip().startswith("SELECT") for one in asked))
        assert not any("epochs" in one for one in asked)
    assert counts[0] == counts[1]


def test_a_worker_killed_in_the_middle_of_a_hundred_fits_changes_no_bit(client: Client, pair: Service, undisturbed: dict[str, Any]) -> None:
    """B009, B010, B081."""
    job_id, _ = _lose_a_worker(client, pair, HUNDRED, rows=300)
    assert sorted(_attempts(pair, job_id)) == [1, 2]
    _assert_alike(client, pair, job_id, undisturbed["id"])


@pytest.mark.parametrize(("fields", "shard_round"), [(BOOSTING, 1), (HALVING, 2)], ids=["boosting", "halving"])
def test_a_worker_killed_in_a_later_round_changes_no_bit(client: Client, pair: Service, fields: dict[str, Any], shard_round: int) -> None:
    """B009, B081."""
    calm = client.submit(**fields)["id"]
    client.until(calm, "succeeded")
    job_id, _ = _lose_a_worker(client, pair, fields, shard_round=shard_round)
    _assert_alike(client, pair, job_id, calm)


def test_a_fit_goes_on_from_its_checkpoint_and_not_from_its_beginning(client: Client, pair: Service) -> None:
    """B081: rows up to the checkpoint stay as they were written before the worker died."""
    job_id, version = _lose_a_worker(
        client, pair, {**SMALL, "training": {"max_epochs": 2000}}, writings=5
    )  # four checkpoints, however fast it trains
    assert _attempts(pair, job_id) == [2]
    with pair.database.read() as connection:
        query = select(EpochRow.epoch, EpochRow.version).where(EpochRow.job_id == job_id).order_by(EpochRow.epoch)
        rows = [(row[0], row[1]) for row in connection.execute(query)]
    assert [epoch for epoch, _ in rows] == list(range(2001))
    assert [epoch for epoch, written in rows if written <= version][-1] >= 10


def test_a_cancelled_job_of_a_hundred_fits_ends_fast_and_leaves_no_file_once_deleted(client: Client, pair: Service) -> None:
    """B008, B053: what had finished stays readable until then."""
    split = {"name": "k_fold", "folds": 10, "repeats": 10}
    networks = {"name": "cnn", "blocks": [{"channels": 2, "pool": 2}]}  # each a shard of its own
    fields = {**SMALL, "network": networks, "split": split, "plan": {"name": "fit"}, "training": {"max_epochs": 3}}
    job_id = client.submit(**fields)["id"]
    give_up_at = time.monotonic() + 60
    while client.job(job_id)["fit_counts"].get("finished", 0) < 2:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    assert client.request("DELETE", f"/v1/jobs/{job_id}").status_code == 409
    asked = time.monotonic()
    assert client.request("POST", f"/v1/jobs/{job_id}/cancel").status_code == 202
    job = client.until(job_id, "cancelled")
    assert time.monotonic() - asked < 10
    assert job["fit_counts"]["cancelled"] >= 50
    assert job["fit_counts"].keys() <= {"cancelled", "finished"}
    fits = client.get(f"/v1/jobs/{job_id}/fits")["items"]
    [finished, *_] = [fit for fit in fits if fit["status"] == "finished"]
    assert finished["evaluation"]["val"]["loss"]["value"] == finished["best"]["val_loss"]
    assert client.request("GET", f"/v1/jobs/{job_id}/model?fit={finished['number']}").status_code == 200
    folder = Path(pair.home / "artifacts" / "jobs")
    others = sorted(path for path in folder.rglob("*") if path.is_file() and job_id not in path.parts)
    (folder / job_id / "fit-9-epoch-1-attempt-1.checkpoint").write_bytes(b"left by a worker that died")
    assert client.request("DELETE", f"/v1/jobs/{job_id}").status_code == 204
    assert not (folder / job_id).exists()
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == others
