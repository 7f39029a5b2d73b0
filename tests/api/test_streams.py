"""Many event streams of one process: how they learn of news, and what they ask the database."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from sqlalchemy import event

from api import nudges
from api.nudges import Nudges
from api.stream import job_events
from jobs.states import JobStatus
from store.engine import Database
from store.jobs import bump, delete_job, job_versions
from store.orders import request_cancel
from tests.api.conftest import NOWHERE
from tests.factories import a_job

STREAMS = 12
LOOKS = 4


@pytest.fixture
def statements(db: Database) -> Iterator[list[str]]:
    """Hear what is asked of the database."""
    heard: list[str] = []

    def hear(*found: object) -> None:
        if str(found[2]).startswith("SELECT"):
            heard.append(str(found[2]))

    event.listen(db.engine, "before_cursor_execute", hear)
    yield heard
    event.remove(db.engine, "before_cursor_execute", hear)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudges, "LOOK_SECONDS", 0.05)


@contextlib.asynccontextmanager
async def _nudging(db: Database) -> AsyncIterator[Nudges]:
    """Look, without a broker."""
    found = Nudges(NOWHERE, db)
    running = asyncio.create_task(found.run())
    yield found
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110  what is waited for is state, and no event tells of it
            await asyncio.sleep(0.01)


async def _lets_in() -> bool:
    return True


async def _read(db: Database, found: Nudges, job_id: str, into: list[str]) -> None:
    into.extend([part async for part in job_events(db, found, job_id, 0, _lets_in)])


def _is_look(statement: str) -> bool:
    return " IN (" in statement and "jobs.version" in statement


def test_streams_that_wait_ask_the_database_together(db: Database, statements: list[str]) -> None:
    async def scene() -> None:
        async with _nudging(db) as found:
            jobs = [a_job(db).job.id for _ in range(STREAMS)]
            streams = [asyncio.create_task(_read(db, found, job_id, [])) for job_id in jobs]
            await _until(
                lambda: len(found._listening) == STREAMS and all(one.seen == 1 for all_of in found._listening.values() for one in all_of)
            )
            statements.clear()
            await _until(lambda: sum(map(_is_look, statements)) >= LOOKS)
            # A look that began before the last stream had read may have woken it once.
            others = [statement for statement in statements if not _is_look(statement) and "clock" not in statement]
            assert len(others) <= STREAMS
            statements.clear()
            await _until(lambda: sum(map(_is_look, statements)) >= LOOKS)
            assert all(map(_is_look, statements))
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)

    asyncio.run(scene())


def test_a_version_without_an_event_wakes_a_stream_once(db: Database, statements: list[str]) -> None:
    async def scene() -> None:
        async with _nudging(db) as found:
            job_id = a_job(db).job.id
            stream = asyncio.create_task(_read(db, found, job_id, []))
            await _until(lambda: [one.seen for one in found._listening.get(job_id, ())] == [1])
            with db.write() as connection:
                bump(connection, job_id)
            await _until(lambda: [one.seen for one in found._listening[job_id]] == [2])
            statements.clear()
            await _until(lambda: sum(map(_is_look, statements)) >= LOOKS)
            assert sum(not _is_look(statement) for statement in statements) <= 1 + 3  # one look may have been under way
            statements.clear()
            await _until(lambda: sum(map(_is_look, statements)) >= LOOKS)
            assert all(map(_is_look, statements))
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)

    asyncio.run(scene())


def test_without_a_broker_streams_learn_of_news_and_of_deletion(db: Database) -> None:
    async def scene() -> None:
        async with _nudging(db) as found:
            cancelled, deleted = a_job(db).job.id, a_job(db).job.id
            heard: dict[str, list[str]] = {cancelled: [], deleted: []}
            streams = [asyncio.create_task(_read(db, found, job_id, into)) for job_id, into in heard.items()]
            await _until(lambda: len(found._listening) == len(heard))
            assert request_cancel(db, cancelled).status is JobStatus.CANCELLED
            request_cancel(db, deleted)
            delete_job(db, deleted)
            async with asyncio.timeout(60):
                await asyncio.gather(*streams)
            assert "event: finished" in "".join(heard[cancelled])
            assert not found._listening

    asyncio.run(scene())


def test_versions_of_many_jobs_are_read_a_few_hundred_at_a_time(db: Database, statements: list[str]) -> None:
    jobs = [a_job(db).job.id for _ in range(3)]
    statements.clear()
    assert job_versions(db, [*jobs, *(f"job_{i}" for i in range(600))]) == dict.fromkeys(jobs, (1, JobStatus.QUEUED))
    assert len(statements) == 2
