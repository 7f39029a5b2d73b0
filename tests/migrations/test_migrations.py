"""Migrations make exactly the tables, can be undone, and lose no row."""

import time
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Engine, Text, event, inspect
from sqlalchemy.exc import IntegrityError

from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus, JobStatus
from store.artifacts import Artifacts
from store.datasets import Datasets, list_datasets, store_dataset
from store.engine import Database, create_engine
from store.fits import list_fits
from store.jobs import create_job, get_job
from store.migrate import alembic_config, upgrade
from tests.factories import a_succeeded_job, an_upload
from tests.system import fresh_database


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    return fresh_database(request.getfixturevalue("postgres_url"), "migrated")


def test_upgrading_makes_the_tables_that_the_code_declares(url: str) -> None:
    """B120: `alembic check` finds no difference; running it again does nothing; undoing leaves nothing."""
    config = alembic_config(url)
    upgrade(url)
    upgrade(url)
    command.check(config)
    command.downgrade(config, "base")
    engine = create_engine(url)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    engine.dispose()
    upgrade(url)


ADDED = frozenset({"uploaded_dataset", "fits_later", "steps_later", "advance_sent_at"}) | {
    "owner", "queued_at", "pause_requested_at", "paused_at", "paused_seconds", "tidied_at", "advance_attempts", "advancer", "advancing_until", "continues", "failure_kind",
    "counters", "place", "failure", "outputs_url", "pause_at", "rungs", "checkpoint_url", "checkpoint_epoch",
}  # fmt: skip
"""Columns that revisions after 0001 add."""


def _rows(database: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table that there is, without what revisions after 0001 add."""
    found = {}
    with database.read() as connection:
        for name in sorted(set(inspect(connection).get_table_names()) - {"alembic_version", "datasets", "api_keys"}):
            rows = connection.exec_driver_sql(f"SELECT * FROM {name}").mappings().all()
            added = ADDED - ({"failure"} if name == "jobs" else set())
            found[name] = sorted(({k: v for k, v in row.items() if k not in added} for row in rows), key=str)
    return found


def _at(url: str) -> tuple[set[str], set[str | None], set[str | None]]:
    engine = create_engine(url)
    look = inspect(engine)
    found = (
        {column["name"] for column in look.get_columns("jobs")} & {"uploaded_dataset"},
        {key["referred_table"] for key in look.get_foreign_keys("jobs")},
        {index["name"] for index in look.get_indexes("jobs")} & {"ix_jobs_uploaded_dataset"},
    )
    engine.dispose()
    return found


def test_jobs_survive_that_datasets_come_and_go(url: str, tmp_path: Path) -> None:
    """B120: from 0001 to 0002 to 0001 and back no row of a job, its fits, curves or events is lost or changed."""
    config = alembic_config(url)
    upgrade(url)
    database = Database(create_engine(url))
    job_id = a_succeeded_job(database, name="kept", metadata={"owner": "vision"})
    artifacts = Artifacts(f"file://{tmp_path}/files")
    dataset_id = store_dataset(database, artifacts, an_upload(tmp_path / "upload"))[0].info.id
    spec = JobSpec.model_validate({"dataset": dataset_id, "seed": 0})
    using = create_job(database, resolve(spec, source=Datasets(database, artifacts))).job.id
    before, job = _rows(database), get_job(database, job_id)
    assert {name: len(rows) for name, rows in before.items() if name in {"jobs", "fits", "epochs"}} == {"jobs": 2, "fits": 2, "epochs": 5}
    database.dispose()

    command.downgrade(config, "0001")
    assert _at(url) == (set(), set(), set())
    database = Database(create_engine(url))
    assert _rows(database) == before
    database.dispose()
    upgrade(url)
    assert _at(url) == ({"uploaded_dataset"}, {"datasets"}, {"ix_jobs_uploaded_dataset"})
    command.check(config)
    database = Database(create_engine(url))
    assert _rows(database) == before
    assert get_job(database, job_id) == job
    assert get_job(database, using).status is JobStatus.QUEUED
    assert list_datasets(database, owner=None) == []
    database.dispose()

    command.downgrade(config, "0001")
    database = Database(create_engine(url))
    assert _rows(database) == before
    database.dispose()


def test_a_migration_may_take_its_time_between_two_statements(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """B120: the server ends transactions that stand idle, a frozen worker's; a migration on a busy machine is not one of them."""
    url = fresh_database(postgres_url, "slow")
    monkeypatch.setattr("store.engine._IDLE_SECONDS", 0.2)

    def wait(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "ADD COLUMN pause_requested_at" in statement:
            waited.append(statement)
            time.sleep(0.6)

    waited: list[str] = []
    event.listen(Engine, "before_cursor_execute", wait)
    try:
        upgrade(url)
    finally:
        event.remove(Engine, "before_cursor_execute", wait)
    assert len(waited) == 1
    command.check(alembic_config(url))


def test_a_migration_that_fails_says_why_and_leaves_no_connection_and_no_table(postgres_url: str) -> None:
    url = fresh_database(postgres_url, "failing")

    def fail(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "ADD COLUMN pause_requested_at" in statement:
            raise RuntimeError("the disk is full")

    event.listen(Engine, "before_cursor_execute", fail)
    try:
        with pytest.raises(RuntimeError, match="the disk is full"):
            upgrade(url)
    finally:
        event.remove(Engine, "before_cursor_execute", fail)
    engine = create_engine(url)
    with engine.connect() as connection:
        others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert connection.exec_driver_sql(others).scalar() == 0
        assert inspect(connection).get_table_names() == []
    engine.dispose()
    upgrade(url)
    command.check(alembic_config(url))


def test_rebuilding_a_parent_table_keeps_its_children(sqlite_db: Database) -> None:
    """A batch migration on SQLite with foreign keys on would delete every epoch; env.py turns them off."""
    job_id = a_succeeded_job(sqlite_db)
    engine = sqlite_db.engine
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        connection.commit()
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        with connection.begin(), Operations(MigrationContext.configure(connection)).batch_alter_table("jobs", recreate="always") as jobs:
            jobs.alter_column("phase", type_=Text())
        connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]
    with sqlite_db.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM epochs").scalar() == 5
    assert get_job(sqlite_db, job_id).progress == 1.0


def test_pruned_fits_count_as_cancelled_where_there_is_no_such_state(url: str) -> None:
    config = alembic_config(url)
    upgrade(url)
    database = Database(create_engine(url))
    job_id = a_succeeded_job(database)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE fits SET status = 'pruned', rungs = '{\"3\": {}}', checkpoint_epoch = 3")
    database.dispose()
    command.downgrade(config, "0002")
    upgrade(url)
    database = Database(create_engine(url))
    [fit] = list_fits(database, job_id)
    assert fit.status is FitStatus.CANCELLED
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM epochs").scalar() == 5
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.exec_driver_sql("UPDATE fits SET status = 'forgotten'")
    database.dispose()
