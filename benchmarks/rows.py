"""Rows for benchmarks of full databases, made by the database of those that are there."""

from sqlalchemy import String, cast, func, insert, literal, select
from sqlalchemy.sql import ColumnElement
from sqlalchemy.sql.expression import CTE

from store.engine import Database
from store.tables import Base, EpochRow, FitRow, JobRow, ShardRow, table

_EPOCHS, _JOBS, _SHARDS, _FITS = table(EpochRow), table(JobRow), table(ShardRow), table(FitRow)


def lengthen(db: Database, job_id: str, epochs: int) -> int:
    """Repeat the row of epoch 1 of every curve of a job up to `epochs` epochs; give the rows added."""
    numbers = _numbers(epochs - 1)
    values = {column.name: column for column in _EPOCHS.columns} | {"epoch": numbers.c.n + 1}
    chosen = (
        select(*values.values()).join_from(_EPOCHS, numbers, literal(value=True)).where(_EPOCHS.c.job_id == job_id, _EPOCHS.c.epoch == 1)
    )
    with db.write() as connection:
        curves = connection.scalar(select(func.count()).where(_EPOCHS.c.job_id == job_id, _EPOCHS.c.epoch == 1)) or 0
        connection.execute(insert(_EPOCHS).from_select(list(values), chosen))
        connection.execute(_JOBS.update().where(_JOBS.c.id == job_id).values(version=_JOBS.c.version + 1))
    return curves * (epochs - 1)


def repeat(db: Database, job_id: str, count: int) -> None:
    """Write an ended job of one fit `count` times more, with its shard and its fit, without its curve."""
    numbers = _numbers(count)
    number = cast(numbers.c.n, String)
    ids: dict[str, ColumnElement[str]] = {"job": literal("job_0") + number, "shard": literal("shard_0") + number}
    own = {
        _JOBS: {"id": ids["job"]},
        _SHARDS: {"id": ids["shard"], "job_id": ids["job"]},
        _FITS: {"job_id": ids["job"], "shard_id": ids["shard"]},
    }
    with db.write() as connection:
        for each, new in own.items():
            values = {column.name: column for column in each.columns} | new
            of_job = (each.c.id if each is _JOBS else each.c.job_id) == job_id
            chosen = select(*values.values()).join_from(each, numbers, literal(value=True)).where(of_job)
            connection.execute(insert(each).from_select(list(values), chosen))
    _settle(db)


def _settle(db: Database) -> None:
    """Do at once what a database does in time after many writes: whoever came first would wait for it."""
    names = ", ".join(one.name for one in Base.metadata.sorted_tables)
    statement = f"VACUUM ANALYZE {names}" if db.engine.dialect.name == "postgresql" else "PRAGMA wal_checkpoint(TRUNCATE)"
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(statement)


def _numbers(count: int) -> CTE:
    """Count from 1 to `count`."""
    numbers = select(literal(1).label("n")).cte("numbers", recursive=True)
    return numbers.union_all(select(numbers.c.n + 1).where(numbers.c.n < count))
