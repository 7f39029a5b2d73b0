"""What the broker still knows: whether it lost messages, and whose queues are empty."""

import secrets
from dataclasses import dataclass
from typing import cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.messages import CPU_QUEUE, GPU_QUEUE

MARKER = "holdout:marker"
"""A key that every sweeper looks for: where it is gone or another, the broker has lost all it was sent."""
_UNACKNOWLEDGED = "unacked"  # where kombu keeps what it handed out
_UNSAVED_SECONDS = 10.0
"""A broker that was restarted may have lost what it was sent so shortly before: appending to disk lags behind by a second."""


@dataclass(frozen=True, kw_only=True)
class Recalled:
    """What the broker knows. `lost_within` are the seconds before now in which what was sent is lost if it `has_restarted`.

    `num_messages` wait, or were handed out and are not acknowledged.
    """

    has_forgotten: bool
    lost_within: tuple[float, float] | None
    empty_queues: frozenset[str]
    num_messages: int


class Recall:
    """Asks one broker, and remembers what it was."""

    def __init__(self, broker_url: str) -> None:
        """Prepare; nothing is opened yet."""
        self._redis = redis.Redis.from_url(broker_url, socket_connect_timeout=0.5, socket_timeout=1.0, retry=Retry(NoBackoff(), 0))
        self._marker: bytes | None = None
        self._run: str | None = None
        self._next_run: str | None = None

    def look(self) -> Recalled:
        """Ask.

        Raises:
            redis.RedisError: the broker cannot be reached.
        """
        queues = (CPU_QUEUE, GPU_QUEUE)
        asked = self._redis.pipeline(transaction=True)
        asked.get(MARKER)
        asked.info("server")
        for queue in queues:
            asked.llen(queue)
        asked.hlen(_UNACKNOWLEDGED)
        marker, server, *lengths, handed_out = asked.execute()
        self._next_run = str(server.get("run_id"))
        since_start = float(server.get("uptime_in_seconds", 0))  # of whole seconds' difference: up to one too many
        return Recalled(
            has_forgotten=marker is None or self._marker not in (None, marker),
            lost_within=None if self._next_run == self._run else (since_start + _UNSAVED_SECONDS, max(0.0, since_start - 1)),
            empty_queues=frozenset(queue for queue, length in zip(queues, lengths, strict=True) if length == 0),
            num_messages=sum(lengths) + handed_out,
        )

    def settle(self) -> None:
        """Take what was found by `look` as known, once what was lost is noted.

        Raises:
            redis.RedisError: the broker cannot be reached; the next look finds the same.
        """
        self._redis.set(MARKER, secrets.token_hex(8), nx=True)
        self._marker, self._run = cast("bytes | None", self._redis.get(MARKER)), self._next_run
