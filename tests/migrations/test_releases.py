"""Databases as every release left them, killed in the middle of work: upgraded, read, gone on with, and taken back. See record.py."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from fastapi.testclient import TestClient
from sqlalchemy import inspect

from api.app import create_app
from api.settings import ApiSettings
from jobs.states import TERMINAL
from store.advances import unadvanced
from store.artifacts import Artifacts
from store.datasets import Datasets
from store.engine import Database, create_engine
from store.listing import JobFilter
from store.migrate import alembic_config, downgrade, revisions, upgrade
from store.orders import request_resume
from store.sweeping import due
from tests.pages import list_jobs
from tests.system import fresh_database
from worker.advance import advance
from worker.place import Workplace
from worker.runner import run_shard

RECORDED = Path(__file__).parent / "recorded"
_ENDED = "('succeeded', 'failed', 'cancelled')"
Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class Release:
    """A database at a revision, with the rows of that time, and the files beside it."""

    revision: str
    url: str
    files: Path

    def rows(self, *, ended: bool = False) -> Rows:
        """Give every row of every table, or those of ended jobs."""
        return _rows(self.url, f" WHERE {{id}} IN (SELECT id FROM jobs WHERE status IN {_ENDED})" if ended else "")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/release.db"
    return fresh_database(request.getfixturevalue("postgres_url"), "release")


@pytest.fixture(params=revisions())
def release(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> Release:
    """Give a release's database and files."""
    return _restored(request.param, url, tmp_path)


def _restored(revision: str, url: str, tmp_path: Path) -> Release:
    command.upgrade(alembic_config(url), revision)
    _load(revision, url)
    shutil.copytree(RECORDED / revision, tmp_path / "files")
    return Release(revision=revision, url=url, files=tmp_path / "files")


def _load(revision: str, url: str) -> None:
    """Insert the rows of a release, by its own columns."""
    text = (RECORDED / f"{revision}.sql").read_text()
    engine = create_engine(url)
    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        (driver.executescript if engine.dialect.name == "sqlite" else driver.execute)(text)
        driver.commit()
    engine.dispose()


def _rows(url: str, condition: str) -> Rows:
    engine = create_engine(url)
    found = {}
    with engine.connect() as connection:
        for name in sorted(set(inspect(connection).get_table_names()) - {"alembic_version"}):
            columns = {column["name"] for column in inspect(connection).get_columns(name)}
            own = "job_id" if "job_id" in columns else "id"
            if condition and own == "id" and name != "jobs":
                continue
            rows = connection.exec_driver_sql(f"SELECT * FROM {name}{condition.format(id=own)}").mappings().all()
            found[name] = sorted((dict(row) for row in rows), key=str)
    engine.dispose()
    return found


@pytest.fixture
def database(release: Release) -> Iterator[Database]:
    """Give the release's database upgraded to this code's schema."""
    upgrade(release.url)
    found = Database(create_engine(release.url))
    yield found
    found.dispose()


def test_every_revision_was_recorded_with_work_of_every_kind() -> None:
    """A migration without rows of the release before it proves nothing: record.py makes them."""
    for revision in revisions():
        text = (RECORDED / f"{revision}.sql").read_text()
        wanted = {"succeeded", "failed", "cancelled", "running", "queued"}
        wanted |= {"succeeded on an upload", "queued on an upload"} if revision >= "0002" else set()
        wanted |= {"succeeded search", "queued search"} if revision >= "0003" else set()
        wanted |= {"paused"} if revision >= "0004" else set()
        assert {name for name in wanted if f"', '{name}', '" in text} == wanted, revision
        assert (revision >= "0003") == ("'pruned'" in text) == (".checkpoint'" in text)


def test_upgrading_and_going_back_changes_no_row_of_a_release(release: Release) -> None:
    """B120: rows of every table, killed mid-work, are after the way up and down what they were."""
    before = release.rows()
    assert len(before["epochs"]) > 10
    upgrade(release.url)
    command.check(alembic_config(release.url))
    after = release.rows()
    assert {name: len(rows) for name, rows in before.items()} == {name: len(after[name]) for name in before}
    downgrade(release.url, release.revision)
    assert release.rows() == before


def test_the_release_before_this_one_may_still_write_once_the_database_is_migrated(url: str) -> None:
    """Processes are exchanged one by one: what the old ones insert has what the new schema wants."""
    upgrade(url)
    _load(revisions()[-2], url)
    database = Database(create_engine(url))
    assert {job.owner for job in list_jobs(database, JobFilter(), owner=None, limit=100).items} == {"local"}
    database.dispose()


def test_jobs_of_a_release_are_read_over_http(release: Release, database: Database) -> None:
    del database  # it was upgraded
    settings = ApiSettings(
        home=release.files,
        database_url=release.url,
        artifacts_url=f"file://{release.files}",
        broker_url="redis://127.0.0.1:1/0",
        access="open",
    )
    with TestClient(create_app(settings)) as client:
        jobs = client.get("/v1/jobs?limit=100").json()["items"]
        names = {job["name"] for job in jobs}
        assert {"succeeded", "failed", "cancelled", "running", "queued"} <= names
        for job in jobs:
            links = {"self", "fits", "curves", "events", *({"picture", "result"} if job["status"] == "succeeded" else ())}
            for link in sorted(links):
                answer = client.get(job["links"][link], headers={"Accept": "application/json"} if link == "events" else {})
                assert answer.status_code == 200, (job["name"], link, answer.text)
            fits = client.get(job["links"]["fits"]).json()["items"]
            assert fits
            if job["status"] != "succeeded":
                continue
            assert client.get(f"/v1/jobs/{job['id']}").json()["result"]["plan"] == job["plan"]
            kept = [fit for fit in fits if fit["status"] == "finished"]
            assert kept
            for what in ("model", "model?format=onnx", "model?format=zip", "model-card", "preparation"):
                answer = client.get(f"/v1/jobs/{job['id']}/{what}")
                is_bare = release.revision == "0001" and what != "model"  # models did not hold their preparation yet
                assert (answer.status_code, is_bare and answer.json()["code"]) in {(200, False), (409, "no_preparation")}, answer.text


def test_work_of_a_release_is_gone_on_with_and_ended_jobs_stay_as_they_were(release: Release, database: Database) -> None:
    """B120, B081: whatever was queued or in training is trained to its end by this code; then the release gets its database back."""
    downgraded = {name: rows for name, rows in _downgraded(release, ended=True).items() if name != "idempotency_keys"}
    upgrade(release.url)
    artifacts = Artifacts(f"file://{release.files}")
    place = Workplace(
        db=database,
        artifacts=artifacts,
        datasets=Datasets(database, artifacts),
        worker_id="host/1",
        lease_seconds=30.0,
        flush_seconds=0.05,
        nudge=lambda _: None,
    )
    open_jobs = {job.id: job for job in list_jobs(database, JobFilter(), owner=None, limit=100).items if job.status not in TERMINAL}
    for job in open_jobs.values():
        if job.status.value == "paused":
            request_resume(database, job.id)
    _work_off(place)
    ended = {job.id: job for job in list_jobs(database, JobFilter(), owner=None, limit=100).items if job.id in open_jobs}
    assert {job.name: job.status.value for job in ended.values()} == {job.name: "succeeded" for job in open_jobs.values()}
    with database.read() as connection:
        for job in ended.values():
            statement = f"SELECT fit_number, epoch FROM epochs WHERE job_id = '{job.id}' ORDER BY fit_number, epoch"
            rows = [tuple(row) for row in connection.exec_driver_sql(statement)]
            ends = "SELECT number, last_epoch FROM fits WHERE job_id = '{}'"
            last = connection.exec_driver_sql(ends.format(job.id)).all()
            assert rows == [(number, epoch) for number, end in sorted(tuple(row) for row in last) for epoch in range(end + 1)]
    database.dispose()
    after = _downgraded(release, ended=True)
    kept = {name: [row for row in rows if row.get("job_id", row.get("id")) not in open_jobs] for name, rows in after.items()}
    assert {name: kept[name] for name in downgraded} == downgraded
    assert {row["status"] for row in after["jobs"]} <= {"succeeded", "failed", "cancelled"}
    assert len(after["jobs"]) == len(downgraded["jobs"]) + len(open_jobs)


def _downgraded(release: Release, *, ended: bool) -> Rows:
    downgrade(release.url, release.revision)
    return release.rows(ended=ended)


def _work_off(place: Workplace) -> None:
    """Be worker and sweeper until nothing is left."""
    for _ in range(200):
        shards = due(place.db, workers=1, grace_seconds=0.0, resend_seconds=0.0)
        for shard in shards:
            run_shard(place, shard.shard_id)
        jobs = unadvanced(place.db)
        for job_id, _device in jobs:
            advance(place, job_id)
        if not shards and not jobs:
            return
    raise AssertionError("work does not end")


@pytest.mark.parametrize("revision", revisions()[:-1])
def test_a_database_of_this_release_goes_back_to_an_older_one_without_losing_a_curve(revision: str, url: str, tmp_path: Path) -> None:
    """What an older schema cannot say is left out (pruned counts as cancelled, paused as queued); jobs, fits and curves stay."""
    release = _restored(revisions()[-1], url, tmp_path)
    before = release.rows()
    downgrade(url, revision)
    after = release.rows()
    assert after["epochs"] == before["epochs"]
    for name in ("jobs", "fits", "shards", "job_metadata", "idempotency_keys"):
        assert len(after[name]) == len(before[name]), name
    known = {"succeeded", "failed", "cancelled", "running", "queued"} | ({"paused"} if revision >= "0004" else set())
    assert {row["status"] for row in after["jobs"]} <= known
    upgrade(url)
    command.check(alembic_config(url))
    again = release.rows()
    assert again["epochs"] == before["epochs"]
    assert [row["id"] for row in again["jobs"]] == [row["id"] for row in before["jobs"]]
