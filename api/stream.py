"""Server-sent events of a job: resumable, and holding no connection to the database while they wait."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence

from starlette.concurrency import run_in_threadpool

from api.nudges import Listener, Nudges
from store.engine import Database
from store.errors import DatabaseUnavailable, NotFound
from store.events import Event, EventPage, events_after

_KEEP_ALIVE_SECONDS = 15.0


async def job_events(db: Database, nudges: Nudges, job_id: str, version: int) -> AsyncIterator[str]:
    """Yield a job's events after `version` as they come, ending with `finished`.

    The database is read when there is news, not before: `nudges` look for all streams together.
    """
    yield "retry: 1000\n\n"
    with nudges.listen(job_id) as listener:
        while True:
            listener.woken.clear()
            page = await run_in_threadpool(_news, db, job_id, version)
            if page is not None:
                if page.events:
                    yield written(page.events)
                    version = page.version
                if page.has_more:
                    continue
                if page.has_ended:
                    return
                listener.seen = page.newest
            while not await _is_woken(listener):
                yield ": keep-alive\n\n"


async def _is_woken(listener: Listener) -> bool:
    """Wait for news; False if there was none for long."""
    try:
        await asyncio.wait_for(listener.woken.wait(), _KEEP_ALIVE_SECONDS)
    except TimeoutError:
        return False
    return True


def _news(db: Database, job_id: str, version: int) -> EventPage | None:
    """Read on; None while the database is away."""
    try:
        return events_after(db, job_id, version)
    except NotFound:  # deleted meanwhile
        return EventPage(events=[], version=version, has_more=False, newest=version, has_ended=True)
    except DatabaseUnavailable:
        return None


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
