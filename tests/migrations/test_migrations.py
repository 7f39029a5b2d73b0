"""Migrations make exactly the tables, can be undone, and lose no row."""

from pathlib import Path

import pytest
from alembic import command
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Text, inspect

from store.engine import Database, create_engine
from store.jobs import get_job
from store.migrate import alembic_config, upgrade
from tests.factories import a_succeeded_job
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
