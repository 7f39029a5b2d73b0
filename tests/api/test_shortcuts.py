"""Reads that come again: answered past the router, and past no door."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from api import shortcuts
from api.app import create_app
from api.together import Shared, Together
from store.commits import commit
from store.engine import Database
from store.keys import create_key, revoke_key
from tests.api.conftest import StrictClient, settings_for
from tests.factories import LEASE, a_claim, a_job, a_record, a_succeeded_job

READS = ["", "/curves", "/curves.csv", "/curves?max_points=3&smoothing=0.5"]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Gather the paths that a shortcut was taken to."""
    found: list[str] = []
    real = shortcuts.Shortcuts.find

    def find(self: shortcuts.Shortcuts, key: Any) -> Any:
        known = real(self, key)
        if known is not None:
            found.append(key[1])
        return known

    monkeypatch.setattr(shortcuts.Shortcuts, "find", find)
    return found


@pytest.fixture
def statements(db: Database) -> Iterator[list[str]]:
    """Gather what any engine of this process asks."""
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("SELECT"):
            heard.append(statement)

    event.listen(type(db.engine), "before_cursor_execute", hear)
    yield heard
    event.remove(type(db.engine), "before_cursor_execute", hear)


@pytest.mark.parametrize("read", READS)
def test_what_comes_again_is_answered_alike(client: StrictClient, db: Database, taken: list[str], read: str) -> None:
    url = f"/v1/jobs/{a_succeeded_job(db)}{read}"
    first, again = client.get(url), client.get(url)
    assert len(taken) == 1
    assert (again.status_code, again.content) == (200, first.content)
    varying = {"x-request-id"}
    assert {k: v for k, v in again.headers.items() if k not in varying} == {k: v for k, v in first.headers.items() if k not in varying}
    unchanged = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", first.headers["etag"])


@pytest.mark.parametrize("epochs", [3, 200])
def test_an_unchanged_poll_takes_one_statement_however_long_the_curve(
    client: StrictClient, db: Database, statements: list[str], epochs: int
) -> None:
    url = f"/v1/jobs/{a_succeeded_job(db, epochs=epochs)}/curves"
    tag = client.get(url).headers["etag"]
    statements.clear()
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 304
    told = [statement for statement in statements if "api_keys" not in statement]
    assert len(told) == 1
    assert "epochs" not in told[0]


def test_what_has_changed_is_told_anew(client: StrictClient, db: Database, taken: list[str]) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    urls = [f"/v1/jobs/{created.job.id}", f"/v1/jobs/{created.job.id}/curves", "/v1/jobs", "/v1/jobs?fields=id,version"]
    before = [client.get(url).content for url in urls]
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
    after = [client.get(url).content for url in urls]
    assert len(taken) == len(urls)
    assert all(one != other for one, other in zip(before, after, strict=True))


def test_a_job_that_was_deleted_is_gone_from_shortcuts_and_lists(client: StrictClient, db: Database, taken: list[str]) -> None:
    job_id = a_succeeded_job(db)
    urls = [f"/v1/jobs/{job_id}", f"/v1/jobs/{job_id}/curves"]
    for url in [*urls, "/v1/jobs"]:
        assert client.get(url).status_code == 200
    client.delete(f"/v1/jobs/{job_id}")
    assert [client.get(url).status_code for url in urls] == [404, 404]
    assert client.get("/v1/jobs").json()["items"] == []
    assert len(taken) == 3


def test_a_shortcut_is_taken_by_nobody_else(sqlite_db: Database, tmp_path: Path, taken: list[str]) -> None:
    mine, key = create_key(sqlite_db, "me")
    _, other = create_key(sqlite_db, "you")
    client = StrictClient(create_app(settings_for(sqlite_db, tmp_path)), raise_server_exceptions=False)
    url = client.post("/v1/jobs", json={"dataset": "iris"}, headers={"Authorization": f"Bearer {key}"}).headers["location"]
    for _ in range(2):
        assert client.get(url, headers={"Authorization": f"Bearer {key}"}).status_code == 200
        assert client.get(url, headers={"Authorization": f"Bearer {other}"}).status_code == 404
        assert client.get(url).status_code == 401
    assert taken == [url]
    revoke_key(sqlite_db, mine.id)
    time.sleep(2)  # as long as a key may be believed
    assert client.get(url, headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_what_is_refused_is_refused_again(client: StrictClient, db: Database, taken: list[str]) -> None:
    job_id = a_succeeded_job(db)
    for _ in range(2):
        assert client.get(f"/v1/jobs/{job_id}/curves?max_points=1").status_code == 422
        assert client.get(f"/v1/jobs/{job_id}?extra=1").status_code == 422
        assert client.get("/v1/jobs?cursor=x").status_code == 422
    assert taken == []


def test_requests_that_come_more_often_are_counted_and_logged_alike(
    client: StrictClient, db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"/v1/jobs/{a_succeeded_job(db)}"
    with caplog.at_level("INFO"):
        for _ in range(3):
            client.get(url)
    lines = [record.msg for record in caplog.records if record.name == "access"]
    assert [(line["route"], line["status"], line["job_id"]) for line in lines] == [("/v1/jobs/{job_id}", 200, url.rsplit("/", 1)[1])] * 3
    assert 'holdout_api_requests_total{method="GET",route="/v1/jobs/{job_id}",status="200"} 3.0' in client.get("/metrics").text


def test_who_waits_together_is_answered_by_one_turn_that_began_later() -> None:
    turns: list[tuple[int, ...]] = []
    began, go_on = threading.Event(), threading.Event()

    def ask(asked: tuple[int, ...]) -> dict[int, int]:
        turns.append(asked)
        began.set()
        go_on.wait(10)
        return {one: len(turns) for one in asked if one >= 0}

    async def wait() -> list[int | None]:
        together = Together(ask)
        first = asyncio.create_task(together.get(0))
        await asyncio.to_thread(began.wait, 10)
        rest = [asyncio.create_task(together.get(number)) for number in (0, 1, 1, -1)]
        rest[1].cancel()  # takes nobody's answer along
        await asyncio.sleep(0)
        go_on.set()
        return [await first, *[await one for one in (rest[0], rest[2], rest[3])]]

    assert asyncio.run(wait()) == [1, 2, 2, None]
    assert turns == [(0,), (0, 1, -1)]


def test_a_turn_that_hangs_holds_nobody_up() -> None:
    hanging = threading.Event()

    def ask(asked: tuple[int, ...]) -> dict[int, int]:
        if 0 in asked:
            hanging.wait(10)
        return dict.fromkeys(asked, 1)

    async def wait() -> None:
        together = Together(ask)
        first = asyncio.create_task(together.get(0))
        await asyncio.sleep(0.01)
        assert await asyncio.wait_for(together.get(1), 5) == 1
        assert not first.done()
        hanging.set()
        assert await first == 1

    asyncio.run(wait())


def test_a_turn_that_fails_fails_for_all_whom_it_was_to_answer() -> None:
    def ask(_: tuple[int, ...]) -> dict[int, int]:
        raise OSError("gone")

    async def wait() -> list[Any]:
        together = Together(ask)
        return await asyncio.gather(together.get(1), together.get(2), return_exceptions=True)

    assert [type(one) for one in asyncio.run(wait())] == [OSError, OSError]


def test_who_asks_the_same_while_it_is_answered_shares_an_answer_that_is_not_older() -> None:
    """The first is answered alone; those who come meanwhile are answered by one read that begins after they came."""
    reads: list[int] = []

    async def wait() -> list[int]:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def read() -> int:
            reads.append(len(reads))
            began.set()
            number = reads[-1]
            await go_on.wait()
            return number

        shared = Shared(read)
        first = asyncio.create_task(shared.get())
        await began.wait()
        rest = [asyncio.create_task(shared.get()) for _ in range(5)]
        await asyncio.sleep(0)
        rest[0].cancel()  # takes nobody's answer along
        await asyncio.sleep(0)
        go_on.set()
        found = [await first, *[await one for one in rest[1:]], await shared.get()]
        assert (shared._running, shared._next) == (None, None)  # nothing keeps an answer
        return found

    assert asyncio.run(wait()) == [0, 1, 1, 1, 1, 2]
    assert len(reads) == 3


def test_an_answer_that_hangs_or_fails_is_that_of_those_who_shared_it_alone() -> None:
    reads: list[int] = []

    async def wait() -> list[object]:
        began = asyncio.Event()

        async def read() -> str:
            reads.append(1)
            began.set()
            if len(reads) == 1:
                await asyncio.sleep(30)
            if len(reads) == 2:
                raise OSError("gone")
            return "there"

        shared = Shared(read)
        hanging = asyncio.create_task(shared.get())
        await began.wait()
        failed = await asyncio.wait_for(asyncio.gather(shared.get(), shared.get(), return_exceptions=True), 5)
        found = await asyncio.wait_for(shared.get(), 5)
        hanging.cancel()
        return [*map(type, failed), found]

    assert asyncio.run(wait()) == [OSError, OSError, "there"]


def test_a_shared_answer_serves_several_loops() -> None:
    async def read() -> int:
        return 1

    shared = Shared(read)
    assert [asyncio.run(shared.get()) for _ in range(2)] == [1, 1]
