"""Record a database as a release leaves it when all its processes are killed in the middle of work.

Run it with the code of that release, before the next migration is written; it writes rows and files for test_releases.py:

    PYTHONPATH=. python tests/migrations/record.py tests/migrations/recorded

Nothing here may need more than the release has: older ones are recorded again by checking them out.
"""

import contextlib
import datetime as dt
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil

_TABLES = (
    "datasets", "jobs", "job_metadata", "shards", "fits", "epochs", "events", "idempotency_keys", "workers", "api_keys",
)  # fmt: skip
_SMALL = {"dataset": "iris", "seed": 0, "network": {"name": "mlp", "hidden_units": [4]}, "training": {"max_epochs": 3}}
_LONG = {**_SMALL, "dataset": "digits", "training": {"max_epochs": 12, "batch_size": 2}}
_CSV = "a,b,y\n" + "".join(f"{i % 7},{i % 5},{'yes' if i % 3 else 'no'}\n" for i in range(40))


def main(target: Path) -> None:
    """Record what the code on the path leaves behind."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        with _served(home) as client:
            _work(client, home)
        revision = _write_rows(home / "holdout.db", target)
        if (home / "artifacts").is_dir():
            shutil.rmtree(target / revision, ignore_errors=True)
            shutil.copytree(home / "artifacts", target / revision)
    sys.stdout.write(f"recorded revision {revision}\n")


@contextlib.contextmanager
def _served(home: Path) -> Any:
    """Run the whole system, and kill all of it at once in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    fast = {"HOLDOUT_CHECKPOINT_SECONDS": "0.2", "HOLDOUT_CONCURRENCY": "1", "HOLDOUT_HOME": str(home), "HOLDOUT_PORT": str(port)}
    environment = {name: value for name, value in os.environ.items() if name != "HOLDOUT_DATABASE_URL"} | fast
    log = home.with_suffix(".log")
    with log.open("wb") as output:
        system = subprocess.Popen([sys.executable, "-m", "cli.main", "up"], env=environment, stdout=output, stderr=output)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _until(lambda: _is_ready(client), "ready")
            yield client
    finally:
        for process in [*psutil.Process(system.pid).children(recursive=True), psutil.Process(system.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        system.wait()


def _work(client: httpx2.Client, home: Path) -> None:
    """Leave jobs of every state, the last of them in training."""
    done = [_submit(client, {**_SMALL, "name": "succeeded", "metadata": {"team": "vision"}}, key="first")]
    done.append(_submit(client, {**_SMALL, "name": "failed", "dataset": "diabetes", "optimizer": {"name": "sgd", "learning_rate": 1e20}}))
    uploaded = client.post("/v1/datasets", files={"file": ("a.csv", _CSV)}, data={"schema": '{"target": "y"}'})
    own = None
    if uploaded.status_code == 201:
        own = uploaded.json()["id"]
        done.append(_submit(client, {**_SMALL, "name": "succeeded on an upload", "dataset": own}))
    space = {"/optimizer/learning_rate": {"low": 0.0001, "high": 0.1, "log": True}}
    halving = {"factor": 3, "first_epochs": 1}
    plan = {"name": "search", "method": "random", "candidates": 3, "space": space, "halving": halving}
    search = {**_SMALL, "name": "search", "plan": plan}
    has_plans = client.post("/v1/previews", json=search).status_code == 200
    if has_plans:
        done.append(_submit(client, {**search, "name": "succeeded search"}))
    for job in done:
        _until(lambda job=job: _status(client, job) in {"succeeded", "failed"}, "ended")
    cancelled = _submit(client, {**_LONG, "name": "cancelled"})
    _until(lambda: _epoch(client, cancelled) >= 1, "in training")
    client.post(f"/v1/jobs/{cancelled}/cancel")
    _until(lambda: _status(client, cancelled) == "cancelled", "cancelled")
    has_pauses = client.post(f"/v1/jobs/{cancelled}/pause").status_code == 409
    if has_pauses:
        paused = _submit(client, {**_LONG, "name": "paused"})
        _until(lambda: _epoch(client, paused) >= 2, "in training")
        client.post(f"/v1/jobs/{paused}/pause")
        _until(lambda: _status(client, paused) == "paused", "paused")
    running = _submit(client, {**_LONG, "name": "running"})
    _submit(client, {**_SMALL, "name": "queued"})
    if own:
        _submit(client, {**_SMALL, "name": "queued on an upload", "dataset": own})
    if has_plans:
        _submit(client, {**search, "name": "queued search"})
    _until(lambda: _epoch(client, running) >= 4, "in training")
    if has_pauses:  # the last of all: once there is a key, every request wants one
        with sqlite3.connect(home / "holdout.db") as connection:
            connection.execute(
                "INSERT INTO api_keys VALUES ('key_1', 'local', ?, 'a label', ?, NULL)", ("0" * 64, str(dt.datetime.now(dt.UTC))[:26])
            )


def _submit(client: httpx2.Client, spec: dict[str, Any], key: str | None = None) -> str:
    answer = client.post("/v1/jobs", json=spec, headers={"Idempotency-Key": key} if key else {})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx2.HTTPError:
        return False


def _status(client: httpx2.Client, job: str) -> str:
    return str(client.get(f"/v1/jobs/{job}").json()["status"])


def _epoch(client: httpx2.Client, job: str) -> int:
    [curve] = client.get(f"/v1/jobs/{job}/curves").json()["fits"]
    return curve["last_epoch"] or 0


def _until(is_so: Any, what: str) -> None:
    give_up_at = time.monotonic() + 600
    while not is_so():
        assert time.monotonic() < give_up_at, f"not {what}"
        time.sleep(0.01)


def _write_rows(database: Path, target: Path) -> str:
    """Write every row as an INSERT that SQLite and PostgreSQL read, parents first."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("UPDATE workers SET id = 'recorded/' || rowid")
        connection.execute("UPDATE shards SET worker = 'recorded/1' WHERE worker IS NOT NULL")
        [[revision]] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        known = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        lines = []
        for name in _TABLES:
            for row in connection.execute(f"SELECT * FROM {name} ORDER BY rowid").fetchall() if name in known else ():
                columns = ", ".join(f'"{column}"' for column in row.keys())  # noqa: SIM118  a row iterates over values
                values = ", ".join(connection.execute("SELECT quote(?)", (value,)).fetchone()[0] for value in row)
                lines.append(f"INSERT INTO {name} ({columns}) VALUES ({values});\n")
        unknown = known - set(_TABLES) - {"alembic_version"}
        assert not unknown, unknown
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{revision}.sql").write_text("".join(lines))
    return str(revision)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
