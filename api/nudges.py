"""Nudges that a job has news. One listener for all streams of a process; without a broker, streams poll."""

import asyncio
import contextlib
from collections.abc import Iterator

import redis.asyncio
import structlog
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from jobs.messages import NUDGES

_log = structlog.get_logger()
_RETRY_SECONDS = 2.0


class Nudges:
    """Wakes the streams of a job when its id is published."""

    def __init__(self, broker_url: str) -> None:
        """Prepare; nothing is opened yet."""
        self._url = broker_url
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._is_lost = False

    @contextlib.contextmanager
    def listen(self, job_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set at every nudge of this job."""
        event = asyncio.Event()
        self._waiting.setdefault(job_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[job_id].discard(event)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    @property
    def listeners(self) -> int:
        """Count who listens: the streams that are open."""
        return sum(len(events) for events in list(self._waiting.values()))

    async def run(self) -> None:
        """Listen until cancelled; come back after every loss of the broker."""
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
                    for event in self._waiting.get(message["data"].decode(), ()):
                        event.set()
