"""Connections. One code path for SQLite and PostgreSQL; what differs between them is here."""

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import psycopg
from sqlalchemy import Connection, Engine, event, func, select
from sqlalchemy import create_engine as sqlalchemy_create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from store.errors import DatabaseUnavailable, TransactionLost
from store.turns import Turns

_IDLE_SECONDS = 5
"""A process that is frozen within a transaction, with its machine perhaps, must not keep a job's row for ever: shorter than workers wait for it."""
_WRITES = "holdout_writes"
_BUSY_SECONDS = "holdout_busy_seconds"
_LEAST_BUSY_SECONDS = 0.5
_NO_TABLE = "42P01"
_UNDONE = frozenset({"40001", "40P01", "25P03"})
"""What PostgreSQL says of a transaction that it undid for the sake of others: a conflict, a deadlock, or a process that stood still within it."""
_TRIES = 4
_PING_SECONDS = 1.5
_Args = ParamSpec("_Args")
_Found = TypeVar("_Found")


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a process waits for its database: for somebody else's lock, for a connection, for an answer."""

    busy_seconds: float = 10.0
    pool_seconds: float = 30.0
    answer_seconds: float = 40.0
    connections: int = 15


WORKER_PATIENCE = Patience()
API_PATIENCE = Patience(busy_seconds=1.5, pool_seconds=1.0, answer_seconds=10.0, connections=45)
"""A request is to be told within two seconds that there is no database. Every thread finds a connection: 40 that answer, four that ask for many, one that notes."""


class _BoundedConnection(psycopg.Connection[Any]):
    """A connection that does not wait for ever for a server that hangs."""

    answer_seconds = WORKER_PATIENCE.answer_seconds

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer, but not for longer than this connection has patience."""
        give_up_at = time.monotonic() + self.answer_seconds
        try:
            return super().wait(_until(gen, give_up_at), interval, timeout)
        except TimeoutError:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server does not answer") from None


def _until(gen: Any, give_up_at: float) -> Generator[Any, Any, Any]:
    """Pass on what a generator of psycopg's wants to wait for, until it is late."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= give_up_at:
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as end:
        return end.value


def create_engine(url: str, patience: Patience = WORKER_PATIENCE) -> Engine:
    """Make an engine for a SQLite or PostgreSQL URL; the folder of a SQLite file is made too."""
    parsed = make_url(url)
    common: dict[str, Any] = {
        "json_serializer": partial(json.dumps, allow_nan=False),  # what is not JSON must not reach a column
        "pool_timeout": patience.pool_seconds,
        # Connections are kept, not opened and closed with every wave of requests.
        "pool_size": patience.connections,
        "max_overflow": 0,
    }
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if parsed.database in (None, "", ":memory:"):
            raise ValueError("the database must be a file: processes share it")
        timeouts = {"timeout": patience.busy_seconds}
        engine = sqlalchemy_create_engine(parsed, connect_args=timeouts, execution_options={_BUSY_SECONDS: patience.busy_seconds}, **common)
        event.listen(engine, "connect", partial(_prepare_sqlite, patience))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if parsed.get_backend_name() != "postgresql":
        raise ValueError(f"the database must be SQLite or PostgreSQL, not {parsed.get_backend_name()}")
    parsed = parsed.set(drivername="postgresql+psycopg")
    limits = {"statement": 30, "lock": patience.busy_seconds, "idle_in_transaction_session": _IDLE_SECONDS}
    options = " ".join([*(f"-c {name}_timeout={seconds * 1000:.0f}" for name, seconds in limits.items()), "-c timezone=UTC"])
    keeping = {"connect_timeout": 2, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 15_000}
    engine = sqlalchemy_create_engine(parsed, pool_pre_ping=True, connect_args={"options": options, **keeping}, **common)
    event.listen(engine, "do_connect", _connect_bounded)
    # A connection is asked whether it lives between the two, and must say so soon.
    event.listen(engine, "checkin", partial(_set_patience, _PING_SECONDS))
    event.listen(engine, "checkout", partial(_set_patience, patience.answer_seconds))
    return engine


def _connect_bounded(_dialect: object, _record: object, args: Sequence[Any], values: dict[str, Any]) -> Any:
    return _BoundedConnection.connect(*args, **values)


def _set_patience(seconds: float, connection: Any, *_: object) -> None:
    if connection is not None:
        connection.answer_seconds = seconds


def is_there(url: str) -> bool:
    """Tell whether there is a database to connect to: SQLite would make an empty one."""
    parsed = make_url(url)
    return parsed.get_backend_name() != "sqlite" or not parsed.database or Path(parsed.database).exists()


class Database:
    """An engine and its transactions."""

    def __init__(self, engine: Engine) -> None:
        """Wrap an engine; nothing is opened yet."""
        self.engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        self._turns = Turns()
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
        with _translated(), self._turn_to_write() as waits, self._writer.connect() as opened:
            connection = opened.execution_options(**waits)
            with connection.begin():
                yield connection

    @contextmanager
    def _turn_to_write(self) -> Iterator[dict[str, float]]:
        """Let this process's threads write to SQLite one after another; give how long there is left to wait for other processes.

        SQLite has no queue: who finds the file locked sleeps and looks again, and among many threads one may look in vain for seconds.
        """
        patience = self.engine.get_execution_options().get(_BUSY_SECONDS)
        if patience is None:
            yield {}
            return
        began = time.monotonic()
        if not self._turns.take(patience):
            raise DatabaseUnavailable("the database is too busy")
        try:
            yield {_BUSY_SECONDS: max(_LEAST_BUSY_SECONDS, patience - (time.monotonic() - began))}
        finally:
            self._turns.hand_on()

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


def again_if_undone(whole: Callable[_Args, _Found]) -> Callable[_Args, _Found]:
    """Let a function whose effect is one transaction be run again where the database undid that for the sake of another."""

    @wraps(whole)
    def run(*args: _Args.args, **values: _Args.kwargs) -> _Found:
        for attempt in range(1, _TRIES):
            try:
                return whole(*args, **values)
            except TransactionLost:
                time.sleep(random.uniform(0.0, 0.02 * 2**attempt))  # noqa: S311  not a secret: two that met must not meet again
        return whole(*args, **values)

    return run


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (DBAPIError, PoolTimeoutError) as error:
        told = _in_our_words(error)
        if told is None:
            raise
        raise told from error


def _in_our_words(error: DBAPIError | PoolTimeoutError) -> DatabaseUnavailable | None:
    """Tell a caller what is the matter with the database; None for a fault of our own."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if state in _UNDONE:
        return TransactionLost("the database undid this for the sake of something else")
    if state == _NO_TABLE or "no such table" in str(getattr(error, "orig", "")):
        return DatabaseUnavailable("the database has not been migrated")
    if isinstance(error, (OperationalError, InterfaceError, PoolTimeoutError)):
        return DatabaseUnavailable("the database cannot be reached or is too busy")
    if error.connection_invalidated:
        return DatabaseUnavailable("the connection to the database was lost")
    return None


def _prepare_sqlite(patience: Patience, connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _begin_sqlite says, not where the driver guesses
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={patience.busy_seconds * 1000:.0f}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if not options.get(_WRITES):
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql(f"PRAGMA busy_timeout={options[_BUSY_SECONDS] * 1000:.0f}")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
