"""Telling readers that a job has news."""

import time

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from jobs.messages import NUDGES

_log = structlog.get_logger()
_QUIET_SECONDS = 5.0


class Nudge:
    """Publishes job ids. Never fails and never blocks for long: readers poll anyway."""

    def __init__(self, broker_url: str) -> None:
        """Prepare; nothing is opened yet."""
        self._redis = redis.Redis.from_url(broker_url, socket_connect_timeout=0.2, socket_timeout=0.5, retry=Retry(NoBackoff(), 0))
        self._quiet_until = 0.0

    def __call__(self, job_id: str) -> None:
        """Publish; after a failure stay quiet for a while."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            self._redis.publish(NUDGES, job_id)
        except redis.RedisError as error:
            self._quiet_until = time.monotonic() + _QUIET_SECONDS
            _log.warning("nudge_failed", job=job_id, reason=type(error).__name__)
