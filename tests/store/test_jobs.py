"""Jobs on both databases: created once, listed, cancelled, deleted."""

import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import event, func, select, text, update
from sqlalchemy.exc import StatementError

from jobs.states import JobStatus
from store.commits import Finish, commit
from store.engine import Database
from store.errors import BadCursor, Conflict, NotFound
from store.events import events_after
from store.facts import ended_jobs, service_facts
from store.jobs import create_job, delete_job, get_job, job_version
from store.listing import JobFilter
from store.orders import request_cancel
from store.shards import claim
from store.tables import Base, EpochRow, EventRow, FitRow, JobRow, ShardRow
from tests.factories import LEASE, a_claim, a_diverged_job, a_job, a_record, a_resolved, a_succeeded_job, an_end, no_constant
from tests.pages import list_jobs


def test_a_created_job_is_queued_with_its_fits_and_shard(db: Database) -> None:
    created = a_job(db, name="first", metadata={"owner": "vision"})
    job = get_job(db, created.job.id)
    assert (job.status, job.version, job.progress, job.name, job.metadata) == (JobStatus.QUEUED, 1, 0.0, "first", {"owner": "vision"})
    assert job.fit_counts == {"pending": 1}
    assert [one["status"] for one in job.transitions] == ["queued"]
    assert len(created.shard_ids) == 1


def test_an_unknown_id_is_not_found(db: Database) -> None:
    """B101: state comes from the database alone."""
    for read in (get_job, job_version, request_cancel, delete_job):
        with pytest.raises(NotFound):
            read(db, "job_00000000000000000000000000")


def test_ten_requests_with_one_key_make_one_job(db: Database) -> None:
    """B026."""
    resolved = a_resolved()
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: create_job(db, resolved, idempotency_key="key", body_hash="h"), range(10)))
    assert len({created.job.id for created in made}) == 1
    assert sum(created.is_new for created in made) == 1


def test_a_key_with_another_body_is_refused(db: Database) -> None:
    """B026."""
    create_job(db, a_resolved(), idempotency_key="key", body_hash="h")
    with pytest.raises(Conflict) as caught:
        create_job(db, a_resolved(), idempotency_key="key", body_hash="other")
    assert caught.value.code == "idempotency_key_reused"


def test_a_queued_job_is_cancelled_at_once_and_never_claimed(db: Database) -> None:
    """B048."""
    created = a_job(db)
    assert request_cancel(db, created.job.id).status is JobStatus.CANCELLED
    assert claim(db, created.shard_ids[0], "late", LEASE) is None
    job = get_job(db, created.job.id)
    assert (job.status, job.fit_counts) == (JobStatus.CANCELLED, {"cancelled": 1})
    assert [one["status"] for one in job.transitions] == ["queued", "cancelled"]


def test_two_cancels_at_once_are_one_change(db: Database) -> None:
    """B049."""
    created = a_job(db)
    with ThreadPoolExecutor(2) as pool:
        states = list(pool.map(lambda _: request_cancel(db, created.job.id).status, range(2)))
    assert states == [JobStatus.CANCELLED] * 2
    assert len(get_job(db, created.job.id).transitions) == 2


def test_cancelling_a_running_job_asks_its_worker_once(db: Database) -> None:
    created = a_job(db)
    a_claim(db, created)
    first = request_cancel(db, created.job.id)
    again = request_cancel(db, created.job.id)
    assert first.status is JobStatus.RUNNING
    assert first.cancel_requested_at == again.cancel_requested_at
    assert first.version == again.version


def test_an_ended_job_cannot_be_cancelled(db: Database) -> None:
    with pytest.raises(Conflict, match="succeeded") as caught:
        request_cancel(db, a_succeeded_job(db))
    assert caught.value.code == "job_ended"


def test_a_deleted_job_leaves_nothing_and_others_stay(db: Database) -> None:
    """B053."""
    doomed, kept = a_succeeded_job(db, weights_url="jobs/a/fit-1.safetensors"), a_succeeded_job(db)
    assert delete_job(db, doomed) == ["jobs/a/fit-1.safetensors"]
    with db.read() as connection:
        left = {
            row.__tablename__: connection.scalar(select(func.count()).select_from(row).where(row.job_id == doomed))
            for row in (ShardRow, FitRow, EpochRow, EventRow)
        }
        kept_rows = connection.scalar(select(func.count()).select_from(EpochRow).where(EpochRow.job_id == kept))
    assert set(left.values()) == {0}
    assert kept_rows == 5
    with pytest.raises(NotFound):
        delete_job(db, doomed)


def test_an_active_job_is_not_deleted(db: Database) -> None:
    """B053."""
    created = a_job(db)
    with pytest.raises(Conflict, match="queued"):
        delete_job(db, created.job.id)
    a_claim(db, created)
    with pytest.raises(Conflict, match="running"):
        delete_job(db, created.job.id)


def test_progress_rises_and_ends_at_one(db: Database) -> None:
    """B051, B082: progress is counted from rows, never changed inside a JSON column."""
    created = a_job(db)
    held = a_claim(db, created)
    seen = []
    for epoch in range(5):
        commit(db, held, lease_seconds=LEASE, epochs=[a_record(epoch)])
        seen.append(get_job(db, created.job.id).progress)
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75, 1.0])
    assert get_job(db, a_succeeded_job(db)).progress == 1.0
    assert get_job(db, a_diverged_job(db)).progress == 0.0  # it got no further


def test_filters_act_before_paging_and_pages_do_not_overlap(db: Database) -> None:
    wanted = [a_job(db, name=f"Run_{i}%", metadata={"owner": "a.b"}).job.id for i in range(5)]
    for _ in range(3):
        a_job(db, name="other")
    chosen = JobFilter(name="run_", metadata={"owner": "a.b"})
    seen: list[str] = []
    cursor = None
    while True:
        page = list_jobs(db, chosen, owner=None, cursor=cursor, limit=2)
        seen += [job.id for job in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == wanted[::-1]
    assert [job.id for job in list_jobs(db, chosen, owner=None, sort="created_at", limit=100).items] == wanted
    assert list_jobs(db, JobFilter(name="100%"), owner=None).items == []


@pytest.mark.parametrize(
    "fields", [{"statuses": frozenset({JobStatus.RUNNING})}, {"plan": "other"}, {"dataset": "digits"}, {"metadata": {"owner": "x"}}]
)
def test_each_filter_narrows(db: Database, fields: dict[str, object]) -> None:
    a_job(db, metadata={"owner": "y"})
    assert list_jobs(db, JobFilter(**fields), owner=None).items == []  # type: ignore[arg-type]
    assert len(list_jobs(db, JobFilter(), owner=None).items) == 1


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm90IGpzb24", "WzEsMiwzXQ", "WyJjcmVhdGVkX2F0IiwiMjAyNi0wMS0wMVQwMDowMDowMCswMDowMCIsImpvYiJd"]
)
def test_a_foreign_cursor_is_refused(db: Database, cursor: str) -> None:
    with pytest.raises(BadCursor):
        list_jobs(db, JobFilter(), owner=None, cursor=cursor)


def test_a_page_takes_the_same_number_of_queries_whatever_its_size(db: Database) -> None:
    for _ in range(6):
        a_job(db)
    list_jobs(db, JobFilter(), owner=None)  # a first use asks the database about itself
    statements: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", hear)
    try:
        counts = []
        for limit in (1, 6):
            statements.clear()
            assert len(list_jobs(db, JobFilter(), owner=None, limit=limit).items) == limit
            counts.append(sum(statement.startswith("SELECT") for statement in statements))
    finally:
        event.remove(db.engine, "before_cursor_execute", hear)
    assert counts[0] == counts[1] == 4


def test_facts_count_what_is_active_and_what_has_ended_apart(db: Database) -> None:
    """Readiness is asked all the time, and must not take longer the more jobs have ended."""
    a_job(db)
    a_succeeded_job(db)
    a_diverged_job(db)
    facts, ended = service_facts(db), ended_jobs(db)
    assert facts.active == {"queued": 1, "running": 0, "paused": 0}
    assert ended.counts == {"succeeded": 1, "failed": 1, "cancelled": 0}
    assert sum(ended.failures.values()) == 1
    assert facts.oldest_queued_seconds is not None
    assert 0 <= facts.oldest_queued_seconds < 60


def test_events_tell_the_story_in_order_and_resume(db: Database) -> None:
    job_id = a_succeeded_job(db)
    page = events_after(db, job_id, 0)
    assert [event.kind for event in page.events] == ["status", "status", *["epoch"] * 5, "fit", "status", "finished"]
    assert [event.version for event in page.events] == sorted(event.version for event in page.events)
    assert page.version == get_job(db, job_id).version
    for version in range(page.version + 1):
        later = events_after(db, job_id, version)
        assert later.events == [event for event in page.events if event.version > version]


def test_a_page_of_events_never_splits_a_version(db: Database) -> None:
    job_id = a_succeeded_job(db)
    version, seen, has_more = 0, [], True
    while has_more:
        page = events_after(db, job_id, version, max_versions=1)
        seen += page.events
        version, has_more = page.version, page.has_more
    assert seen == events_after(db, job_id, 0).events


def test_every_table_is_made_by_a_migration(db: Database) -> None:
    """B120."""
    with db.read() as connection:
        assert {table.name for table in Base.metadata.sorted_tables} <= set(db.engine.dialect.get_table_names(connection))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_json_reaches_no_column_and_the_job_can_still_end(db: Database, value: float) -> None:
    """B013: SQLite would store the token and PostgreSQL refuse it in the middle of the last write; here both refuse before anything is sent."""
    created = a_job(db)
    held = a_claim(db, created)
    for bad in ({"plan": "fit", "value": value}, {"plan": "fit", "fits": [{"deep": [value]}]}):
        with pytest.raises((ValueError, StatementError)):
            commit(db, held, lease_seconds=LEASE, epochs=[], finish=Finish(status=JobStatus.SUCCEEDED, result=bad))
        assert get_job(db, created.job.id).status is JobStatus.RUNNING
    with db.write() as connection, pytest.raises((ValueError, StatementError)):
        connection.execute(update(JobRow).where(JobRow.id == created.job.id).values(result={"value": value}))
    commit(db, held, lease_seconds=LEASE, epochs=[], outcomes=[an_end()], finish=Finish(status=JobStatus.SUCCEEDED, result={"plan": "fit"}))
    with db.read() as connection:
        stored = connection.execute(text("SELECT CAST(result AS TEXT) FROM jobs")).scalar_one()
    assert json.loads(stored, parse_constant=no_constant) == {"plan": "fit"}
