"""The sweeper: sends what was not sent, sends again what a dead worker held, ends what cannot progress, deletes files of nobody.

The one recovery mechanism of the service, in a small process of its own (`python -m worker.sweeper`). Any number may
run; live leases are never touched.
"""

import os
import signal
import socket
import threading
import time

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from store.advances import give_up_plans, unadvanced
from store.artifacts import Artifacts
from store.clock import set_right
from store.datasets import collect_garbage
from store.engine import Database, create_engine
from store.errors import ArtifactsUnavailable, DatabaseUnavailable
from store.logs import configure_logs
from store.sweeping import due, forget_sent, mark_sent, may_be_lost, reap
from store.tidying import expire, tidy, untidied
from store.workers import beat, forget, live, sweeper_id
from worker.counters import Counters
from worker.nudge import Nudge
from worker.queue import make_producer, send, send_advance
from worker.recall import Recall, Recalled
from worker.settings import WorkerSettings

_log = structlog.get_logger()


def sweep(db: Database, celery: Celery, nudge: Nudge, recall: Recall, settings: WorkerSettings) -> int:
    """Make one round; tell how many ids were sent."""
    if set_right(db, settings.lease_seconds):
        _log.warning("clock_was_set_back")
    for job_id in [*reap(db), *give_up_plans(db), *expire(db, settings.max_queue_seconds)]:
        _log.warning("job_reaped", job=job_id)
        nudge(job_id)
    sent = []
    try:
        found = _recalled(db, recall)
        empty_queues = found.empty_queues
        is_short = may_be_lost(db, found.num_messages)
        for shard in due(db, workers=len(live(db)), is_short=is_short, empty_queues=empty_queues):
            send(celery, shard.shard_id, shard.device)
            sent.append(shard.shard_id)
        for job_id, device in unadvanced(db, empty_queues=empty_queues):
            send_advance(celery, job_id, device)
            _log.info("advance_sent", job=job_id)
    except (OperationalError, RedisError):
        _log.warning("broker_unreachable")
    if sent:
        mark_sent(db, sent)
        _log.info("shards_sent", shards=sent)
    return len(sent)


def _recalled(db: Database, recall: Recall) -> Recalled:
    """Note what the broker has lost; give what it knows."""
    found = recall.look()
    if found.has_forgotten or found.lost_within is not None:
        count = forget_sent(db, within=None if found.has_forgotten else found.lost_within)
        recall.settle()
        if count:
            _log.warning("messages_lost", messages=count)
    return found


def collect(db: Database, artifacts: Artifacts, *, is_whole: bool = True) -> bool:
    """Delete files that no row names, which a process that died may have left: of a hundred ended jobs and, where it `is_whole`, of nobody.

    Tells whether there are more ended jobs to tidy after now.
    """
    try:
        gone = tidy(db, artifacts)
        if is_whole:
            gone += collect_garbage(db, artifacts)
    except ArtifactsUnavailable as error:
        _log.warning("artifacts_unreachable", reason=str(error))
        return False
    if gone:
        _log.info("files_collected", files=gone)
    return bool(untidied(db))


class _Pulse:
    """A sweeper's own signs of life, between its rounds: it has no other thread."""

    def __init__(self, db: Database, seconds: float) -> None:
        self.counters = Counters()
        self._db = db
        self._seconds = seconds
        self._next_at = time.monotonic()
        self._id = sweeper_id(f"{socket.gethostname()}.{os.getpid()}")

    def beat(self) -> None:
        if time.monotonic() >= self._next_at:
            beat(self._db, self._id, [], {}, self.counters.counts)
            self._next_at = time.monotonic() + self._seconds

    def end(self) -> None:
        try:
            forget(self._db, self._id)
        except DatabaseUnavailable:
            _log.warning("forget_failed")


def main() -> None:
    """Sweep until asked to stop."""
    settings = WorkerSettings()
    configure_logs(settings.log_level, secrets=(settings.database_url, settings.broker_url))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    db, celery, nudge = Database(create_engine(settings.database_url)), make_producer(settings.broker_url), Nudge(settings.broker_url)
    recall = Recall(settings.broker_url)
    artifacts = Artifacts(settings.artifacts_url)
    pulse = _Pulse(db, settings.beat_seconds)
    wait, collect_at, is_behind = settings.sweep_seconds, time.monotonic(), False
    while not stop.wait(wait):
        try:
            pulse.counters.add("sent", sweep(db, celery, nudge, recall, settings))
            pulse.counters.add("rounds")
            pulse.beat()
            if time.monotonic() >= collect_at:
                collect_at = time.monotonic() + settings.collect_seconds
                is_behind = collect(db, artifacts)
            elif is_behind:  # between rounds, so that none is late for it
                is_behind = collect(db, artifacts, is_whole=False)
            wait = settings.sweep_seconds
        except DatabaseUnavailable:
            wait = min(10.0, wait * 2)
            _log.warning("database_unavailable", retry_seconds=wait)
        if settings.sweeper_note is not None:
            settings.sweeper_note.touch()
    pulse.end()


if __name__ == "__main__":
    main()
