"""Waiting and following: by ETag, by streams that break off, and by polling where there are none."""

import json
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

import holdout
from holdout import JobCancelled, JobFailed, WaitTimeout

Connect = Callable[..., Any]
QUEUED = {"id": "job_1", "name": None, "status": "queued", "progress": 0.0, "version": 1, "num_fits": 1}
RUNNING = {**QUEUED, "status": "running", "progress": 0.5, "version": 3}
DONE = {**QUEUED, "status": "succeeded", "progress": 1.0, "version": 5}
FAILED = {**QUEUED, "status": "failed", "failure": {"kind": "diverged", "detail": "the loss is not finite", "retryable": False}}
EPOCHS = [("epoch", 2, {"fit": 1, "epoch": 0}), ("epoch", 2, {"fit": 1, "epoch": 1}), ("epoch", 3, {"fit": 1, "epoch": 2})]
END = [("status", 4, {"status": "succeeded"}), ("finished", 4, {"status": "succeeded", "failure": None})]


def job(fields: dict[str, Any], etag: str = "", **headers: str) -> httpx2.Response:
    return httpx2.Response(200, json=fields, headers={"ETag": etag or f'W/"{fields["version"]}"', "Retry-After": "1", **headers})


def told(events: list[tuple[str, int, dict[str, Any]]], *, until: int | None = None) -> bytes:
    """Write a stream as the service does: the last event of a version has its id. `until` cuts it off after so many events."""
    lines = ["retry: 1000\n\n", ": keep-alive\n\n"]
    for i, (kind, version, data) in enumerate(events):
        is_last = i + 1 == len(events) or events[i + 1][1] != version
        lines.append((f"id: {version}\n" if is_last else "") + f"event: {kind}\ndata: {json.dumps({'version': version, **data})}\n\n")
    return "".join(lines if until is None else lines[: 2 + until]).encode()


def stream(content: bytes) -> httpx2.Response:
    return httpx2.Response(200, content=content, headers={"Content-Type": "text/event-stream"})


class Breaking(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A stream whose connection breaks."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Any:
        yield self.content
        raise httpx2.ReadError("cut off")

    async def __aiter__(self) -> Any:
        yield self.content
        raise httpx2.ReadError("cut off")


class Service:
    """Gives the job, and streams one after another."""

    def __init__(self, *streams: httpx2.Response | Exception, pages: list[Any] | None = None) -> None:
        self.streams = list(streams)
        self.pages = pages or []
        self.resumed: list[str] = []
        self.polls = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if not request.url.path.endswith("/events"):
            self.polls += 1
            return httpx2.Response(304) if self.polls == 4 else job({**RUNNING, "version": self.polls})
        if request.headers["accept"] == "application/json":
            return httpx2.Response(200, json=self.pages.pop(0))
        self.resumed.append(request.headers["last-event-id"])
        found = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
        if isinstance(found, Exception):
            raise found
        return (
            found
            if isinstance(found.stream, Breaking)
            else httpx2.Response(found.status_code, headers=found.headers, content=found.content)
        )


def marks(events: Any) -> list[tuple[str, int, Any]]:
    return [(event.kind, event.version, event.data.get("epoch")) for event in events]


ALL = [(kind, version, data.get("epoch")) for kind, version, data in (*EPOCHS, *END)]


def test_a_stream_is_read_to_its_end(connect: Connect, pauses: list[float]) -> None:
    service = Service(stream(told([*EPOCHS, *END])))
    with connect(service) as client:
        assert marks(client.jobs.events("job_1")) == ALL
    assert (service.resumed, pauses) == (["0"], [])


@pytest.mark.usefixtures("pauses")
@pytest.mark.parametrize("until", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("breaks", [True, False])
def test_a_stream_that_breaks_off_is_taken_up_and_nothing_is_told_twice(connect: Connect, until: int, *, breaks: bool) -> None:
    part = told([*EPOCHS, *END], until=until)
    first = httpx2.Response(200, stream=Breaking(part), headers={"Content-Type": "text/event-stream"}) if breaks else stream(part)
    version = {0: 0, 1: 0, 2: 2, 3: 3, 4: 3}[until]
    rest = [event for event in (*EPOCHS, *END) if event[1] > version]
    service = Service(first, stream(told(rest)))
    with connect(service) as client:
        assert marks(client.jobs.events("job_1")) == ALL
    assert service.resumed == ["0", str(version)]


def test_what_was_read_before_is_not_asked_for_again(connect: Connect) -> None:
    service = Service(stream(told(END)))
    with connect(service) as client:
        assert marks(client.jobs.events("job_1", 3)) == ALL[3:]
    assert service.resumed == ["3"]


def test_a_job_that_has_ended_and_was_read_has_no_more_events(connect: Connect) -> None:
    with connect(Service(httpx2.Response(204))) as client:
        assert list(client.jobs.events("job_1", 4)) == []


def page(events: list[tuple[str, int, dict[str, Any]]], *, has_more: bool) -> dict[str, Any]:
    return {
        "events": [{"kind": kind, "version": version, "data": data} for kind, version, data in events],
        "version": events[-1][1],
        "has_more": has_more,
    }


@pytest.mark.parametrize(
    "refusal",
    [
        httpx2.Response(429, json={"code": "too_many_streams"}, headers={"Retry-After": "5"}),
        httpx2.ReadError("a proxy that cuts streams"),
        stream(b""),
        httpx2.Response(200, json={"events": []}),
    ],
    ids=["refused", "broken", "empty", "not a stream"],
)
def test_where_there_are_no_streams_the_job_is_polled(connect: Connect, pauses: list[float], refusal: httpx2.Response | Exception) -> None:
    service = Service(refusal, pages=[page(EPOCHS[:2], has_more=True), page(EPOCHS[2:], has_more=False), page(END, has_more=False)])
    with connect(service) as client:
        assert marks(client.jobs.events("job_1")) == ALL
    assert len(service.resumed) <= 3
    assert 1.0 in pauses


def test_a_job_that_is_not_there_is_told_at_once(connect: Connect, pauses: list[float]) -> None:
    with connect(lambda _: httpx2.Response(404, json={"code": "not_found"})) as client, pytest.raises(holdout.NotFoundError):
        next(client.jobs.events("job_1"))
    with connect(lambda _: httpx2.Response(404, json={"code": "not_found"})) as client, pytest.raises(holdout.NotFoundError):
        client.jobs.wait("job_1")
    assert pauses == []


def test_a_service_that_is_away_for_too_long_is_given_up(connect: Connect, pauses: list[float], clock: Any) -> None:
    del clock
    answers = iter([job(RUNNING)])

    def gone(_: httpx2.Request) -> httpx2.Response:
        found = next(answers, None)
        if found is None:
            raise httpx2.ConnectError("refused")
        return found

    with connect(gone) as client, pytest.raises(holdout.APIConnectionError, match="cannot be reached"):
        list(client.jobs.events("job_1"))
    assert 60 < sum(pauses) < 90


def test_waiting_outlasts_a_service_that_is_started_anew(connect: Connect, pauses: list[float], clock: Any) -> None:
    del clock
    answers: list[Any] = [job(QUEUED), *[httpx2.ConnectError("refused")] * 9, httpx2.Response(503), job(DONE)]

    def restarted(_: httpx2.Request) -> httpx2.Response:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with connect(restarted) as client:
        assert client.jobs.wait("job_1").status == "succeeded"
    assert sum(pauses) < 60


def test_waiting_asks_soon_at_first_then_as_the_service_says_and_sends_its_etag_back(connect: Connect, pauses: list[float]) -> None:
    answers = [job(QUEUED), *[httpx2.Response(304, headers={"Retry-After": "1"})] * 8, job(RUNNING), job(DONE)]
    asked: list[str | None] = []

    def service(request: httpx2.Request) -> httpx2.Response:
        asked.append(request.headers.get("if-none-match"))
        return answers.pop(0)

    seen: list[tuple[str, float]] = []
    with connect(service) as client:
        client.jobs.wait("job_1", on_update=lambda job: seen.append((job.status, job.progress)))
    assert asked == [None, *['W/"1"'] * 9, 'W/"3"']
    assert seen == [("queued", 0.0), ("running", 0.5), ("succeeded", 1.0)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.1, 1.0)


@pytest.mark.usefixtures("pauses")
def test_an_update_may_be_awaited_where_the_client_is(connect: Connect) -> None:
    seen: list[str] = []

    async def note(job: Any) -> None:
        seen.append(job.status)

    with connect(lambda _: job(DONE)) as client:
        if hasattr(client, "runner"):
            client.jobs.wait("job_1", on_update=note)
            assert seen == ["succeeded"]


def test_a_job_that_does_not_succeed_is_an_exception_that_has_it(connect: Connect, pauses: list[float], clock: Any) -> None:
    del clock
    with connect(lambda _: job(FAILED)) as client, pytest.raises(JobFailed, match=r"job job_1 failed \(diverged\): the loss is not finite"):
        client.jobs.wait("job_1")
    with connect(lambda _: job({**QUEUED, "status": "cancelled"})) as client, pytest.raises(JobCancelled, match="was cancelled"):
        client.jobs.wait("job_1")
    with connect(lambda _: job(RUNNING)) as client, pytest.raises(WaitTimeout, match="is running still; it goes on") as late:
        client.jobs.wait("job_1", timeout=10, poll_interval=3)
    assert late.value.job.progress == 0.5
    assert pauses == [3, 3, 3, 1]


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"status": "paused", "pause_requested_at": None}, r"is paused, and does not go on before it is resumed: job\.resume\(\)"),
        ({"status": "running", "pause_requested_at": "2026-01-31T12:00:00Z"}, r"is running still; it is about to pause: job\.resume\(\)"),
    ],
)
def test_of_a_paused_job_it_is_not_said_that_it_goes_on(connect: Connect, fields: dict[str, Any], why: str) -> None:
    with connect(lambda _: job({**RUNNING, **fields})) as client, pytest.raises(WaitTimeout, match=why) as late:
        client.jobs.wait("job_1", timeout=10)
    assert late.value.is_paused
