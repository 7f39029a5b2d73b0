"""Connections. One code path for SQLite and PostgreSQL; what differs between them is here."""

import datetime as dt
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, event, func, select
from sqlalchemy import create_engine as sqlalchemy_create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from store.errors import DatabaseUnavailable

_BUSY_SECONDS = 10
_POOL = {"pool_size": 15, "max_overflow": 0, "pool_timeout": 10}
"""Connections are kept, not opened and closed with every wave of requests; who waits longer for one is told that the database is busy."""
_WRITES = "holdout_writes"
_NO_TABLE = "42P01"


def create_engine(url: str) -> Engine:
    """Make an engine for a SQLite or PostgreSQL URL; the folder of a SQLite file is made too."""
    parsed = make_url(url)
    serializer = partial(json.dumps, allow_nan=False)  # what is not JSON must not reach a column
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = sqlalchemy_create_engine(parsed, json_serializer=serializer, connect_args={"timeout": _BUSY_SECONDS}, **_POOL)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(f"the database must be SQLite or PostgreSQL, not {parsed.get_backend_name()}")
    parsed = parsed.set(drivername="postgresql+psycopg")
    options = "-c statement_timeout=30000 -c lock_timeout=10000 -c timezone=UTC"
    return sqlalchemy_create_engine(
        parsed, json_serializer=serializer, pool_pre_ping=True, connect_args={"connect_timeout": 3, "options": options}, **_POOL
    )


class Database:
    """An engine and its transactions."""

    def __init__(self, engine: Engine) -> None:
        """Wrap an engine; nothing is opened yet."""
        self.engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        # Several queries of one read must see one state. SQLite's transactions do anyway.
        self._reader = engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="REPEATABLE READ")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a reading transaction: all its queries see the state at the first of them.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with _translated(), self._reader.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a writing transaction, committed on leaving without an error.

        On SQLite it begins immediately: a transaction that reads first and writes later would fail or lose updates.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        with _translated(), self._writer.connect() as connection, connection.begin():
            yield connection

    def now(self, connection: Connection) -> dt.datetime:
        """Read the database's clock (an embedded database has the machine's)."""
        if self.engine.dialect.name == "sqlite":
            return dt.datetime.now(dt.UTC)
        instant: dt.datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return instant.astimezone(dt.UTC)

    def dispose(self, *, close: bool = True) -> None:
        """Drop pooled connections; a forked child passes close=False, for they belong to its parent."""
        self.engine.dispose(close=close)


def is_duplicate(error: IntegrityError) -> bool:
    """Tell a key that exists already from other broken constraints."""
    return getattr(error.orig, "sqlstate", None) == "23505" or "UNIQUE constraint failed" in str(error.orig)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        raise DatabaseUnavailable("the database cannot be reached or is too busy") from error
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", None) == _NO_TABLE:
            raise DatabaseUnavailable("the database has not been migrated") from error
        raise


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_BUSY_SECONDS * 1000}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get(_WRITES) else "BEGIN")
