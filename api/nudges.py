"""Nudges that a job has news. One subscription and one look into the database for all streams of a process.

The look finds what no nudge told of: one was lost, or the broker is away.
"""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from jobs.messages import NUDGES
from store.engine import Database
from store.errors import DatabaseUnavailable
from store.jobs import job_versions

_log = structlog.get_logger()
_RETRY_SECONDS = 2.0
LOOK_SECONDS = 1.0
"""How late an event can be when its nudge was lost."""


@dataclass(eq=False)
class Listener:
    """One stream: `woken` when its job has news beyond the version it has `seen`; None is nothing."""

    woken: asyncio.Event = field(default_factory=asyncio.Event)
    seen: int | None = None


class Nudges:
    """Wakes the streams of a job when its id is published, or its version is found to have risen."""

    def __init__(self, broker_url: str, db: Database) -> None:
        """Prepare; nothing is opened yet."""
        self._url = broker_url
        self._db = db
        self._listening: dict[str, set[Listener]] = {}
        self._is_lost = False

    @contextlib.contextmanager
    def listen(self, job_id: str) -> Iterator[Listener]:
        """Give a listener that is woken at every nudge of this job."""
        listener = Listener()
        self._listening.setdefault(job_id, set()).add(listener)
        try:
            yield listener
        finally:
            self._listening[job_id].discard(listener)
            if not self._listening[job_id]:
                del self._listening[job_id]

    @property
    def listeners(self) -> int:
        """Count who listens: the streams that are open."""
        return sum(len(listeners) for listeners in list(self._listening.values()))

    async def run(self) -> None:
        """Listen and look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_listening())
            tasks.create_task(self._keep_looking())

    async def _keep_looking(self) -> None:
        """Compare versions once a second, if any stream is open."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if not self._listening:
                continue
            try:
                newest = await run_in_threadpool(job_versions, self._db, tuple(self._listening))
            except DatabaseUnavailable:  # streams wait on
                continue
            except Exception:  # noqa: BLE001  whatever it is, later looks may find more
                _log.exception("look_failed")
                continue
            for job_id, listeners in self._listening.items():
                for listener in listeners:
                    if listener.seen != newest.get(job_id, (-1,))[0]:
                        listener.woken.set()

    async def _keep_listening(self) -> None:
        """Listen; come back after every loss of the broker."""
        while True:
            try:
                await self._listen()
            except (RedisError, OSError) as error:
                if not self._is_lost:  # once for each outage
                    _log.warning("nudges_lost", reason=type(error).__name__)
                self._is_lost = True
            await asyncio.sleep(_RETRY_SECONDS)

    async def _listen(self) -> None:
        client = redis.asyncio.Redis.from_url(self._url, socket_connect_timeout=1.0, health_check_interval=10, retry=Retry(NoBackoff(), 0))
        async with client, client.pubsub() as channel:
            await channel.subscribe(NUDGES)
            self._is_lost = False
            while True:
                message = await channel.get_message(ignore_subscribe_messages=True, timeout=5.0)
                if message is not None:
                    for listener in self._listening.get(message["data"].decode(), ()):
                        listener.woken.set()
