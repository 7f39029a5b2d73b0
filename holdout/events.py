"""A job's events as they come: by a stream that is taken up where it broke off, or by polling where streams are refused."""

import json
from dataclasses import dataclass, field
from typing import Any

from holdout.errors import APIConnectionError, InternalServerError, RateLimitError, status_error
from holdout.records import Record
from holdout.requests import Answer, Ask, Give, Hear, Listen, Pause, Steps, called
from holdout.retries import Patience, backoff

_BROKEN_STREAMS = 3
"""So many streams in a row that break before they have said anything, and the job is polled instead."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to a job.

    `kind` is status, cancel_requested, pause_requested, resumed, fit, epoch or finished (the last one); `data` holds its facts,
    as an epoch's figures; `version` is the job's, to go on from.
    """

    kind: str
    version: int
    data: Record


@dataclass
class _Told:
    """What was given so far: everything up to `version`, and `within`, part of the version after it."""

    version: int
    within: list[str] = field(default_factory=list)
    is_over: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """How far it is."""
        return self.version, len(self.within)

    def news(self, kind: str, version: int, data: dict[str, Any], *, is_whole: bool) -> list[Event]:
        """Take an event, the last one of its version if it `is_whole`; give it, unless a stream that broke off gave it before."""
        if version <= self.version:
            return []
        mark = json.dumps([kind, version, data], sort_keys=True)
        is_new = mark not in self.within
        self.within.append(mark)
        if is_whole:
            self.version, self.within = version, []
        self.is_over = kind == "finished"
        return [Event(kind=kind, version=version, data=Record(data))] if is_new else []


def followed(job_id: str, after_version: int) -> Steps[None]:
    """Give each event of a job after a version, until it has ended.

    Raises:
        APIStatusError: the job is not there, or not for this client.
        APIConnectionError: the service was away for too long.
    """
    yield Ask(called("GET", "jobs", job_id))  # that there is no such job, or no service, is told at once
    told, patience, broken = _Told(after_version), Patience(), 0
    while not told.is_over:
        before = told.place
        is_stream = broken < _BROKEN_STREAMS
        try:
            yield from (_streamed if is_stream else _polled)(job_id, told, patience)
        except RateLimitError as refused:
            if not is_stream:
                yield Pause(patience.pause(refused))
            broken = _BROKEN_STREAMS
            continue
        except (APIConnectionError, InternalServerError) as error:
            yield Pause(patience.pause(error))
        else:
            if not told.is_over:
                yield Pause(backoff(0))
        if is_stream:
            broken = 0 if told.place != before else broken + 1


def _streamed(job_id: str, told: _Told, patience: Patience) -> Steps[None]:
    """Read one stream until it ends or breaks."""
    headers = {"Accept": "text/event-stream", "Last-Event-ID": str(told.version)}
    answer: Answer = yield Listen(called("GET", "jobs", job_id, "events", headers=headers))
    if answer.status == 204:
        told.is_over = True
        return
    if answer.status != 200:
        raise status_error(answer.status, answer.content, answer.request_id)
    patience.reached()
    while not told.is_over:
        heard = yield Hear()
        if heard is None:
            return
        if not heard.data:
            continue  # a remark about the stream itself
        data = json.loads(heard.data)
        version = data.pop("version")
        for event in told.news(heard.event, version, data, is_whole=heard.id == str(version)):
            yield Give(event)


def _polled(job_id: str, told: _Told, patience: Patience) -> Steps[None]:
    """Read pages of events whenever the job's ETag has changed, until it has ended."""
    etag: str | None = None
    while not told.is_over:
        job: Answer = yield Ask(called("GET", "jobs", job_id, headers=unless(etag)))
        patience.reached()
        if job.status != 304:
            etag = job.headers.get("etag")
            yield from _paged(job_id, told)
        if not told.is_over:
            yield Pause(max(job.retry_after or 0.0, _POLL_SECONDS))


def _paged(job_id: str, told: _Told) -> Steps[None]:
    has_more = True
    while has_more and not told.is_over:
        query = {"after_version": told.version}
        answer: Answer = yield Ask(called("GET", "jobs", job_id, "events", query=query, headers={"Accept": "application/json"}))
        page = answer.fields("events", "version", "has_more")
        has_more = page["has_more"]
        for i, one in enumerate(page["events"]):
            is_whole = i + 1 == len(page["events"]) or page["events"][i + 1]["version"] != one["version"]
            for event in told.news(one["kind"], one["version"], one["data"], is_whole=is_whole):
                yield Give(event)
        told.version = max(told.version, page["version"])


def unless(etag: str | None) -> dict[str, str]:
    """Ask for what has this ETag no longer: else the answer is 304."""
    return {} if etag is None else {"If-None-Match": etag}
