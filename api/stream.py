"""Server-sent events of a job: resumable, and holding no connection to the database while they wait."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from starlette.concurrency import run_in_threadpool

from api.nudges import Listener, Nudges
from store.engine import Database
from store.errors import DatabaseUnavailable, NotFound
from store.events import Event, EventPage, events_after

_PAUSE_SECONDS = 1.5
"""How often a stream without news asks whether its client is let in still."""
_KEEP_ALIVE_PAUSES = 10


async def job_events(db: Database, nudges: Nudges, job_id: str, version: int, lets_in: Callable[[], Awaitable[bool]]) -> AsyncIterator[str]:
    """Yield a job's events after `version` as they come, ending with `finished`, or when the client is not let in any more.

    The database is read when there is news, not before: `nudges` look for all streams together.
    """
    yield "retry: 1000\n\n"
    with nudges.listen(job_id) as listener:
        while (is_let_in := await _is_let_in(lets_in)) is not False:
            listener.woken.clear()
            page = await run_in_threadpool(_news, db, job_id, version) if is_let_in else None
            if page is not None:
                if page.events:
                    yield written(page.events)
                    version = page.version
                if page.has_more:
                    continue
                if page.has_ended:
                    return
                listener.seen = page.newest
            for pauses in itertools.count(1):
                if await _is_woken(listener):
                    break
                if await _is_let_in(lets_in) is False:
                    return
                if pauses % _KEEP_ALIVE_PAUSES == 0:
                    yield ": keep-alive\n\n"


async def _is_let_in(lets_in: Callable[[], Awaitable[bool]]) -> bool | None:
    """Ask the guard again; None while it cannot tell: then nothing is read."""
    try:
        return await lets_in()
    except DatabaseUnavailable:
        return None


async def _is_woken(listener: Listener) -> bool:
    """Wait for news; False if there was none for a while."""
    try:
        await asyncio.wait_for(listener.woken.wait(), _PAUSE_SECONDS)
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
