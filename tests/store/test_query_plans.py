"""How the databases find what is read all the time: by indexes, whatever the tables have grown to."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from jobs.states import JobStatus
from store import tidying
from store.engine import Database
from store.epochs import curves
from store.jobs import get_job, job_versions
from store.listing import JobFilter, page_query
from store.owners import owns_job
from store.tidying import untidied
from tests.factories import a_job, a_succeeded_job
from tests.pages import list_jobs

SORTING = ("USE TEMP B-TREE FOR ORDER BY", "Sort")
SORTED = {"what is new of curves"}
"""What is found by an index of versions and then put in order: the rows of a poll, and not those of a job."""
INDEXES = {
    "a poll": "sqlite_autoindex_jobs_1",
    "curves": "sqlite_autoindex_epochs_1",
    "what is new of curves": "ix_epochs_job_id_version",
    "a page": "ix_jobs_owner_created_at_id",
    "everybody's page": "ix_jobs_created_at_id",
    "the page of oldest": "ix_jobs_owner_created_at_id",
    "whose folders are to be tidied": "ix_jobs_finished_at_untidied",
    "what fits of a job name": "ix_jobs_continues",
}
"""Which index is the one, where another would do, if worse."""
Read = Callable[[Database, str], Any]


def _page(**filters: Any) -> Read:
    return lambda db, _: list_jobs(db, JobFilter(**filters), owner="local", limit=1)


def _later(db: Database, _: str) -> None:
    first = list_jobs(db, JobFilter(), owner="local", limit=1)
    list_jobs(db, JobFilter(), owner="local", cursor=first.next_cursor, limit=1)


READS: dict[str, Read] = {
    "a poll": lambda db, job_id: job_versions(db, [job_id]),
    "polls of many": lambda db, job_id: job_versions(db, [job_id, "job_0"]),
    "whose a job is": lambda db, job_id: owns_job(db, "local", job_id),
    "a job": get_job,
    "curves": curves,
    "curves of a fit": lambda db, job_id: curves(db, job_id, fits=[1]),
    "what is new of curves": lambda db, job_id: curves(db, job_id, after_version=1),
    "a page": _page(),
    "everybody's page": lambda db, _: list_jobs(db, JobFilter(), owner=None, limit=1),
    "the page of oldest": lambda db, _: list_jobs(db, JobFilter(), owner="local", sort="created_at", limit=1),
    "a further page": _later,
    "a page of a status": _page(statuses=frozenset({JobStatus.QUEUED})),
    "a page of a dataset": _page(dataset="iris"),
    "whose folders are to be tidied": lambda db, _: untidied(db),
    "what fits of a job name": tidying._named,
}


@pytest.fixture
def statements(db: Database) -> Iterator[list[tuple[str, Any]]]:
    """Gather what is asked, with its values."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: object, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            heard.append((statement, values))

    event.listen(db.engine, "before_cursor_execute", hear)
    yield heard
    event.remove(db.engine, "before_cursor_execute", hear)


@pytest.mark.parametrize("what", READS)
def test_what_is_read_all_the_time_is_found_by_indexes_and_never_sorted(db: Database, statements: list[tuple[str, Any]], what: str) -> None:
    for _ in range(3):
        a_job(db)
    job_id = a_succeeded_job(db)
    statements.clear()
    READS[what](db, job_id)
    asked = list(statements)
    assert asked
    plans = [plan for statement, values in asked for plan in _plans(db, statement, values)]
    for plan in plans:
        assert what in SORTED or not any(word in plan for word in SORTING), plan
        assert "Seq Scan" not in plan, plan
        assert not plan.startswith("SCAN") or "INDEX" in plan, plan


@pytest.mark.parametrize("what", INDEXES)
def test_reads_are_found_by_the_index_that_is_there_for_them(sqlite_db: Database, what: str) -> None:
    a_job(sqlite_db)
    job_id, heard = a_succeeded_job(sqlite_db), list[tuple[str, Any]]()

    def hear(_connection: object, _cursor: object, statement: str, values: Any, *_rest: object) -> None:
        heard.append((statement, values))

    event.listen(sqlite_db.engine, "before_cursor_execute", hear)
    READS[what](sqlite_db, job_id)
    event.remove(sqlite_db.engine, "before_cursor_execute", hear)
    plans = [plan for statement, values in heard if statement.startswith("SELECT") for plan in _plans(sqlite_db, statement, values)]
    assert any(f"INDEX {INDEXES[what]} " in f"{plan} " for plan in plans), plans


def test_a_further_page_is_entered_where_the_one_before_ended(sqlite_db: Database) -> None:
    for _ in range(3):
        a_job(sqlite_db)
    first = list_jobs(sqlite_db, JobFilter(), owner="local", limit=1)
    query = page_query(JobFilter(), owner="local", sort="-created_at", cursor=first.next_cursor, limit=1)
    with sqlite_db.engine.connect() as connection:
        told = query.statement.compile(connection, compile_kwargs={"literal_binds": True})
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {told}")]
    assert plan == ["SEARCH jobs USING INDEX ix_jobs_owner_created_at_id (owner=? AND created_at<?)"]


def _plans(db: Database, statement: str, values: Any) -> list[str]:
    """Ask a database how it would go about a statement: SQLite a step a line, PostgreSQL as if its tables were large."""
    with db.engine.connect() as connection:
        if db.engine.dialect.name == "sqlite":
            return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]
        for way in ("seqscan", "bitmapscan", "sort", "incremental_sort"):  # is there any other?
            connection.execute(text(f"SET LOCAL enable_{way} = off"))
        [plan] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", values).scalars()
        return list(_nodes((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["Node Type"]
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
