"""How migrations run: one process at a time, SQLite children kept."""

import os
from typing import Literal

from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection, Engine, text

from store.engine import Patience, create_engine
from store.settings import StoreSettings
from store.tables import Base, Instant

_LOCK = 4_857_003_911
"""Key of the advisory lock that lets one process migrate a PostgreSQL database at a time."""

_PATIENCE = Patience(busy_seconds=60.0, answer_seconds=86_400.0)
"""A large table may take long, and so may another process that migrates."""


def _url() -> str:
    configured: str | None = context.config.attributes.get("url")
    return configured or os.environ.get("HOLDOUT_DATABASE_URL") or StoreSettings().database_url


def _render(kind: str, item: object, _autogen: AutogenContext) -> str | Literal[False]:
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Instant) else False


def _migrate(connection: Connection) -> None:
    is_sqlite = connection.dialect.name == "sqlite"
    context.configure(
        connection=connection, target_metadata=Base.metadata, render_as_batch=is_sqlite, compare_type=True, render_item=_render
    )
    if not is_sqlite:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = '60s'"))
        connection.execute(text("SET idle_in_transaction_session_timeout = '10min'"))  # rows may be rewritten here, between two statements
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.commit()  # the lock is the session's; an open transaction would be taken for the caller's and left uncommitted
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        if not is_sqlite:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()


def _run() -> None:
    engine = create_engine(_url(), _PATIENCE)
    try:
        _migrate_with(engine)
    finally:
        engine.dispose()


def _migrate_with(engine: Engine) -> None:
    with engine.connect().execution_options(holdout_writes=True) as connection:
        if engine.dialect.name != "sqlite":
            _migrate(connection)
        else:
            # Rebuilding a table with foreign keys on would delete every row that refers to it.
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
            _migrate(connection)
            connection.commit()
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise RuntimeError(f"a migration left {len(broken)} rows that refer to nothing")


_run()
