"""The Celery worker. Its parent warms up with one thread and forks children that train on one thread each.

A parent that ran two threads would fork children that hang; a parent that touched CUDA would fork children that cannot
use it. Connections are never shared over a fork: every child opens its own. Signs of life come from the children, for a
parent that forks must have no thread beside its own.
"""

import gc
import multiprocessing.sharedctypes
import os
import signal
import socket
import threading
import time
from functools import partial
from typing import Any

import structlog
import torch
from billiard import active_children
from celery import signals
from celery.exceptions import WorkerLostError

from data.later import load_all
from jobs.messages import ADVANCE_TASK, TASK
from store.artifacts import Artifacts
from store.datasets import Datasets
from store.engine import Database, create_engine
from store.errors import DatabaseUnavailable
from store.logs import configure_logs
from store.shards import release_worker
from store.workers import beat, forget
from training.allocator import keep_freed_memory, return_freed_memory
from training.calibration import calibrate
from training.environment import devices, environment
from training.speed import Speed
from training.warmup import warm_up
from worker.advance import advance
from worker.heartbeat import exit_now
from worker.memory import fair_share, limit_memory
from worker.nudge import Nudge
from worker.place import Workplace
from worker.queue import make_celery, make_producer, try_to_send
from worker.runner import run_shard
from worker.settings import WorkerSettings

_log = structlog.get_logger()
STRATEGY = "worker.strategy:forgiving"
settings = WorkerSettings()
celery_app = make_celery(settings.broker_url)
celery_app.conf.update(worker_concurrency=settings.concurrency)

WORKER_NAME = os.environ.get("HOLDOUT_WORKER_NAME") or f"{socket.gethostname()}.{os.getpid()}"
"""Set where this module is first imported, the parent; the ids of its children begin with it."""

_LAST_SECONDS = 3.0
"""What the parent waits beyond `stop_seconds` for its children."""
_leaving = multiprocessing.sharedctypes.RawValue("b", 0)
"""Memory shared over the fork: the parent sets it when asked to stop, and every child hands its shard back at the next epoch."""
_speed: list[Speed] = []
"""What the parent measured of itself before it forked: its children train as fast. Empty where they may use a GPU."""
_has_settled: list[bool] = []
"""Whether this child process has ended a shard."""
_place: list[Workplace] = []
"""The workplace of this child process; made after the fork."""


@celery_app.task(name=TASK, acks_late=True, ignore_result=True, Strategy=STRATEGY)  # type: ignore[untyped-decorator]
def train_shard(shard_id: str) -> None:
    """Train the shard of this id, if nobody else does."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(worker=_place[0].worker_id, shard_id=shard_id)
    _place[0].counters.add_shard(run_shard(_place[0], shard_id))
    gc.collect()  # rows and weights that only a cycle holds are not kept for the next job
    if not _has_settled:  # what the first job made for all others (statements, types of columns) is not looked through after each
        gc.freeze()
        _has_settled.append(True)
    return_freed_memory()


@celery_app.task(name=ADVANCE_TASK, acks_late=True, ignore_result=True, Strategy=STRATEGY)  # type: ignore[untyped-decorator]
def advance_job(job_id: str) -> None:
    """Advance the plan of the job of this id, if it waits for that."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(worker=_place[0].worker_id, job_id=job_id)
    advance(_place[0], job_id)


@signals.celeryd_init.connect  # type: ignore[untyped-decorator]  # before Celery warns whoever is root
@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _prepare_logs(**_: Any) -> None:
    configure_logs(settings.log_level, secrets=(settings.database_url, settings.broker_url))


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def _prepare_parent(**_: Any) -> None:
    torch.set_num_threads(1)
    if not keep_freed_memory():
        _log.info("allocator_unchanged")
    load_all()  # what children would each import for themselves
    if devices() == ["cpu"]:
        warm_up()
        _speed[:] = [calibrate()]
    # What is loaded stays. Unfrozen, its half a million objects would put off the children's full collections for a thousand
    # jobs, whose rows and weights would pile up, and each collection would copy the memory that they share with the parent.
    gc.collect()
    gc.freeze()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _prepare_child(**_: Any) -> None:
    torch.set_num_threads(1)
    db, artifacts = Database(create_engine(settings.database_url)), Artifacts(settings.artifacts_url)
    _place[:] = [
        Workplace(
            db=db,
            artifacts=artifacts,
            datasets=Datasets(db, artifacts),
            worker_id=f"{WORKER_NAME}/{os.getpid()}",
            lease_seconds=settings.lease_seconds,
            flush_seconds=settings.flush_seconds,
            nudge=Nudge(settings.broker_url),
            checkpoint_seconds=settings.checkpoint_seconds,
            keeps_last_checkpoints=settings.keep_last_checkpoints,
            send=partial(try_to_send, make_producer(settings.broker_url)),
            must_leave=lambda: bool(_leaving.value),
            depart=exit_now,
            stop_seconds=settings.stop_seconds,
            patience_seconds=settings.artifacts_patience_seconds,
            max_run_seconds=settings.max_run_seconds,
        )
    ]
    if devices() == ["cpu"]:  # a GPU's driver maps far more than it takes
        limit_memory(settings.max_memory_bytes or fair_share(settings.concurrency))
    threading.Thread(target=_beat, args=(_place[0],), name="beat", daemon=True).start()


def _beat(place: Workplace) -> None:
    what = environment("cpu") | ({"speed": _speed[0].model_dump()} if _speed else {})
    while not _leaving.value:
        try:
            beat(place.db, place.worker_id, devices(), what, place.counters.counts)
        except DatabaseUnavailable:
            _log.warning("beat_failed", worker=place.worker_id)
        time.sleep(settings.beat_seconds)


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _leave_child(**_: Any) -> None:
    for place in _place:
        try:
            forget(place.db, place.worker_id)
        except DatabaseUnavailable:
            _log.warning("forget_failed", worker=place.worker_id)


@signals.task_failure.connect  # type: ignore[untyped-decorator]
def _free_shard_of_dead_child(exception: BaseException | None = None, args: tuple[Any, ...] | None = None, **_: Any) -> None:
    """Let the sweeper send the shard again at once, where the parent saw its child die."""
    if not isinstance(exception, WorkerLostError) or not args:
        return
    db = Database(create_engine(settings.database_url))
    try:
        _log.warning("child_lost", shards=release_worker(db, WORKER_NAME, only=str(args[0])))
    except DatabaseUnavailable:
        _log.warning("child_lost_unnoted", shard=args[0])
    finally:
        db.dispose()


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _leave(**_: Any) -> None:
    # Celery's warm shutdown waits for running tasks, and they end at their next epoch. (A cold one sends this signal only
    # after its waiting time, too late for a shard to be handed back.)
    _leaving.value = 1
    signal.signal(signal.SIGALRM, _leave_now)
    signal.setitimer(signal.ITIMER_REAL, settings.stop_seconds + _LAST_SECONDS)


def _leave_now(*_: Any) -> None:
    """End what has not ended in time. Children that were at work have handed their shards back by now."""
    for child in active_children():
        os.kill(child.pid, signal.SIGKILL)
    os._exit(1)
