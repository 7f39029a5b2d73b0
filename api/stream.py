"""Server-sent events of a job: resumable, and holding no connection to the database while they wait."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from starlette.concurrency import run_in_threadpool

from api.nudges import Nudges
from jobs.states import TERMINAL
from store.engine import Database
from store.errors import DatabaseUnavailable, NotFound
from store.events import Event, EventPage, events_after
from store.jobs import job_version

POLL_SECONDS = 1.0
"""How late an event can be when its nudge was lost."""
_KEEP_ALIVE_SECONDS = 15.0


async def job_events(
    db: Database, nudges: Nudges, job_id: str, version: int, still_lets_in: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """Yield a job's events after `version` as they come, ending with `finished`, or when the client is not let in any more."""
    yield "retry: 1000\n\n"
    spoke_at = time.monotonic()
    with nudges.listen(job_id) as nudged:
        while True:
            nudged.clear()
            try:
                page = await run_in_threadpool(_news, db, job_id, version) if await still_lets_in() else None
            except DatabaseUnavailable:  # told of nothing, and asked again
                page = EventPage(events=[], version=version, has_more=False)
            if page is None:
                return
            if page.events:
                yield written(page.events)
                version, spoke_at = page.version, time.monotonic()
                if page.events[-1].kind == "finished":
                    return
            elif time.monotonic() - spoke_at >= _KEEP_ALIVE_SECONDS:
                yield ": keep-alive\n\n"
                spoke_at = time.monotonic()
            if not page.has_more:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(nudged.wait(), POLL_SECONDS)


def _news(db: Database, job_id: str, version: int) -> EventPage | None:
    """Read on; None once nothing more can come."""
    try:
        page = events_after(db, job_id, version)
        if not page.events:
            newest, status = job_version(db, job_id)
            if status in TERMINAL and newest <= version:
                return None
    except NotFound:  # deleted meanwhile
        return None
    return page


def written(events: Sequence[Event]) -> str:
    """Write events as text/event-stream.

    Only the last event of a version carries its id: a client cut off inside a version gets the whole version again.
    """
    lines = []
    for event, following in zip(events, [*events[1:], None], strict=True):
        if following is None or following.version != event.version:
            lines.append(f"id: {event.version}\n")
        lines.append(f"event: {event.kind}\ndata: {json.dumps({'version': event.version, **event.data}, allow_nan=False)}\n\n")
    return "".join(lines)
