"""Logs: every line is JSON, whoever wrote it, and none holds a secret."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import structlog

from store.artifacts import Artifacts
from store.datasets import Datasets
from store.engine import Database, create_engine
from store.logs import Masking
from tests.factories import a_claim, a_job
from worker.heartbeat import Heartbeat
from worker.place import Workplace

SECRET = "S3cret/pa%ss-word"
QUOTED = "S3cret%2Fpa%25ss-word"

PROGRAM = """
import logging, sys, threading, warnings
import psycopg, redis, sqlalchemy
from kombu.exceptions import OperationalError
from store.artifacts import Artifacts
from store.datasets import Datasets
from store.engine import Database, create_engine
from store.logs import configure_logs
from store.migrate import upgrade
from worker.queue import make_celery, send
import structlog

secret, quoted = sys.argv[1:]
database, broker = f"postgresql://holdout:{quoted}@127.0.0.1:1/x", f"redis://:{quoted}@127.0.0.1:1/0"
log = structlog.get_logger()
configure_logs("INFO", secrets=(database, broker))
attempts = {
    "psycopg": lambda: psycopg.connect(database, connect_timeout=1),
    "psycopg_words": lambda: psycopg.connect(f"host=127.0.0.1 port=1 user=holdout password='{secret}' bad_option=1"),
    "sqlalchemy": lambda: create_engine(database).connect(),
    "redis": lambda: redis.Redis.from_url(broker).ping(),
    "redis_url": lambda: redis.Redis.from_url(broker.replace("redis:", "rediss+no:")),
    "celery": lambda: send(make_celery(broker), "shard_1", "cpu"),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except Exception as error:
        log.exception("connection_failed", to=name, url=database, engine=create_engine(database), nested={"urls": [broker, (secret,)]})
logging.getLogger("some.library").error("cannot reach %s", broker, exc_info=ValueError(database))
logging.getLogger("some.library").warning("Authorization: Bearer abcdefgh12345678 and hk_abc.DEFghi_123")
logging.getLogger("some.library").debug("never seen")
log.info("odd", text="a\\nb \\ud800", key=b"hk_bytes123", error=RuntimeError(broker))
warnings.warn(f"deprecated: {broker}")
upgrade("sqlite:///" + "alembic.db")
def die():
    raise RuntimeError(f"thread of {database}")
thread = threading.Thread(target=die)
thread.start()
thread.join()
raise RuntimeError(f"cannot use {database} nor {secret}")
"""


def test_whatever_fails_is_logged_as_json_without_passwords(tmp_path: Path) -> None:
    """Real failing connections, libraries, warnings, threads and the last exception: one object a line, no secret in any."""
    command = [sys.executable, "-c", PROGRAM, SECRET, QUOTED]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=_environment())
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert ran.returncode == 1
    assert ran.stdout == ""
    for secret in (SECRET, QUOTED, "abcdefgh12345678", "DEFghi", "bytes123"):
        assert secret not in ran.stderr
        assert secret not in "".join(line.get("exception", "") for line in lines)
    events = [line["event"] for line in lines]
    assert events.count("connection_failed") == 6
    assert events.count("uncaught_exception") == 2
    assert all({"level", "timestamp", "logger"} <= line.keys() for line in lines)
    assert any("Running upgrade" in event for event in events)
    assert any(line["logger"] == "py.warnings" for line in lines)
    assert "never seen" not in ran.stderr
    assert all("Traceback" in line["exception"] for line in lines if line["event"] == "connection_failed")
    assert "***" in lines[0]["url"]


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[2]), "PATH": "", "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("redis://:pw@host:1/0 and postgresql://u:p@w@h/d", "redis://:***@host:1/0 and postgresql://u:***@h/d"),
        ("https://host:8000/path is no secret", "https://host:8000/path is no secret"),
        ("host=a password=abc dbname=x", "host=a password=*** dbname=x"),
        ("bearer of news", "bearer of news"),
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: Bearer ***"),
        ("no key hk_ab12-CD_ef here", "no key hk_*** here"),
        ("a known one: longsecret!", "a known one: ***"),
        ("?a=Bearer%20hk_0123456789abcdef_00ff", "?a=Bearer%20hk_***"),
    ],
)
def test_secrets_are_masked_and_nothing_else(text: str, masked: str) -> None:
    assert Masking(("redis://:longsecret@h/0",)).text(text.replace("!", "")) == masked
    assert Masking(("redis://:in@h/0",)).text("within") == "within"


def test_a_heartbeat_that_fails_names_its_job(sqlite_db: Database, tmp_path: Path) -> None:
    """Threads know what is bound where they were made."""
    held = a_claim(sqlite_db, a_job(sqlite_db))
    artifacts = Artifacts(f"file://{tmp_path}")
    place = Workplace(
        db=Database(create_engine("postgresql://nobody@127.0.0.1:1/x")),
        artifacts=artifacts,
        datasets=Datasets(sqlite_db, artifacts),
        worker_id="host/1",
        lease_seconds=0.2,
        flush_seconds=0.1,
        nudge=lambda _: None,
    )
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        with structlog.contextvars.bound_contextvars(job_id=held.job_id, attempt=held.attempt):
            heartbeat = Heartbeat(place, held)
        with heartbeat:
            while not lines:
                time.sleep(0.01)
    assert (lines[0]["event"], lines[0]["job_id"], lines[0]["attempt"]) == ("heartbeat_failed", held.job_id, 1)


def test_a_line_of_a_request_tells_no_query(tmp_path: Path) -> None:
    """Uvicorn's own lines would: with a key that somebody put there, in any spelling."""
    program = "import logging; from store.logs import configure_logs; configure_logs(); logging.getLogger('uvicorn.access').info('GET /?k=%s', 'secret')"
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert "secret" not in ended.stderr
