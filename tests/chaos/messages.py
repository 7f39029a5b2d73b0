"""Faults of the broker and of what it carries: lost, late, twice, out of order, out of date."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import func, select

from jobs.messages import CPU_QUEUE
from store.tables import JobRow, ShardRow
from tests.chaos.processes import send as send_signal
from worker.queue import make_celery, send, send_advance

if TYPE_CHECKING:
    from tests.chaos.faults import Scene


def flush(scene: Scene) -> str:
    """FLUSHALL: all that waits in the queue is lost."""
    with _client(scene) as client:
        waiting = client.llen(CPU_QUEUE)
        client.flushall()
    return f"{waiting} messages lost"


def restart(scene: Scene) -> str:
    """SIGKILL the broker; it comes back with what it had written."""
    process = scene.system.broker.process
    assert process is not None
    send_signal(process.pid, signal.SIGKILL)
    process.wait(10)
    return f"process {process.pid}"


def freeze(scene: Scene) -> str:
    """SIGSTOP the broker for some seconds: connections stay, and nothing answers."""
    process, seconds = scene.system.broker.process, scene.rng.uniform(1, 4)
    assert process is not None
    send_signal(process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    send_signal(process.pid, signal.SIGCONT)
    return f"{seconds:.1f} s"


def duplicate(scene: Scene) -> str:
    """Put every waiting message back twice, in any order, and send the ids of shards that are open again."""
    with _client(scene) as client:
        waiting = client.lrange(CPU_QUEUE, 0, -1)
        twice = scene.rng.sample(waiting * 2, 2 * len(waiting))
        if twice:
            client.rpush(CPU_QUEUE, *twice)
    shards = [row.id for row in scene.system.rows(select(ShardRow.id).where(ShardRow.status != "done"))]
    _send(scene, shards * 2, [])
    return f"{len(waiting)} messages and {len(shards)} open shards, twice more"


def reorder(scene: Scene) -> str:
    """Shuffle what waits."""
    with _client(scene) as client, client.pipeline(transaction=True) as pipeline:
        waiting, _ = pipeline.lrange(CPU_QUEUE, 0, -1).delete(CPU_QUEUE).execute()
        if waiting:
            client.rpush(CPU_QUEUE, *scene.rng.sample(waiting, len(waiting)))
    return f"{len(waiting)} messages"


def send_stale(scene: Scene) -> str:
    """Send ids of shards that are done, of jobs that have ended and of some that never were."""
    shards = [row.id for row in scene.system.rows(select(ShardRow.id).where(ShardRow.status == "done").order_by(func.random()).limit(10))]
    jobs = [row.id for row in scene.system.rows(select(JobRow.id).order_by(func.random()).limit(10))]
    _send(scene, [*shards, "shard_that_never_was"], [*jobs, "job_that_never_was"])
    return f"{len(shards) + 1} shards, {len(jobs) + 1} jobs to advance"


def _client(scene: Scene) -> redis.Redis:
    return redis.Redis.from_url(scene.system.broker.url, socket_timeout=10, retry=Retry(NoBackoff(), 0))


def _send(scene: Scene, shards: list[str], jobs: list[str]) -> None:
    celery = make_celery(scene.system.broker.url)
    try:
        for shard in shards:
            send(celery, shard, "cpu")
        for job in jobs:
            send_advance(celery, job, "cpu")
    finally:
        celery.close()
