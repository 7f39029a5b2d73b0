"""Handing a shard's id to the broker: the only place of the API that knows Celery."""

import threading
import time

import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from jobs.messages import CPU_QUEUE, TASK, queue_for

_log = structlog.get_logger()
_PAUSE_SECONDS = 2.0
_AT_ONCE = 8
"""Requests that send at once: fewer than the connections that are kept, for waiting for one has no end."""
_TURN_SECONDS = 0.5


class Queue:
    """A producer whose calls are short even when the broker is gone: what was not sent is sent by the sweeper."""

    def __init__(self, broker_url: str) -> None:
        """Prepare; nothing is opened yet."""
        self._celery = Celery("holdout", broker=broker_url)
        self._celery.conf.update(
            task_serializer="json",
            accept_content=["json"],
            task_default_queue=CPU_QUEUE,
            task_ignore_result=True,
            # One attempt: kombu's own default would hold a request for two seconds.
            broker_transport_options={"socket_connect_timeout": 0.5, "socket_timeout": 1.0, "max_retries": 0},
            task_publish_retry=False,
        )
        self._paused_until = 0.0
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def send(self, shard_id: str, device: str) -> bool:
        """Send; False if the broker cannot be reached (or could not a moment ago)."""
        if time.monotonic() < self._paused_until or not self._turns.acquire(timeout=_TURN_SECONDS):
            return False
        try:
            return time.monotonic() >= self._paused_until and self._send(shard_id, device)
        finally:
            self._turns.release()

    def _send(self, shard_id: str, device: str) -> bool:
        try:
            self._celery.send_task(TASK, args=(shard_id,), queue=queue_for(device), ignore_result=True, retry=False)
        except OperationalError as error:
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            _log.warning("broker_unreachable", shard=shard_id, reason=type(error).__name__)
            return False
        return True
