"""How Celery is set up, and what a worker does before it forks."""

import subprocess
import sys
from pathlib import Path

import pytest
from celery.concurrency import get_implementation
from kombu import Connection, Exchange, Producer
from kombu import Queue as KombuQueue

from cli.broker import Broker
from jobs.messages import TASK
from worker.app import celery_app
from worker.queue import make_celery


def test_one_message_at_a_time_and_acknowledged_late() -> None:
    """B100: a short job never waits behind a long one in a busy worker's hands."""
    assert celery_app.conf.worker_prefetch_multiplier == 1
    assert celery_app.conf.task_acks_late
    assert celery_app.tasks[TASK].acks_late


def test_a_long_training_is_not_redelivered_for_being_long() -> None:
    """B007: the visibility timeout is longer than the longest time limit."""
    assert celery_app.conf.broker_transport_options["visibility_timeout"] > 30 * 86_400


def test_there_is_no_result_backend_to_read_states_from() -> None:
    """B101."""
    assert celery_app.conf.result_backend is None
    assert celery_app.conf.task_ignore_result


def test_dead_children_are_looked_for_twice_a_second() -> None:
    """Celery alone looks every five seconds where a child's pipe closed a moment before the child could be waited for."""
    pool = get_implementation(celery_app.conf.worker_pool).Pool
    timers = pool.__new__(pool).timers
    assert {look.__name__ for look in timers} == {"maintain_pool"}
    assert set(timers.values()) == {0.5}


def test_only_json_is_accepted() -> None:
    """B126."""
    assert celery_app.conf.accept_content == ["json"]
    assert celery_app.conf.result_accept_content == ["json"]
    assert celery_app.conf.task_serializer == "json"


def test_a_pickled_message_is_refused_unread(broker: Broker, tmp_path: Path) -> None:
    """B126: its content is not even opened; the worker's consumer drops it and goes on."""
    from kombu.exceptions import ContentDisallowed as Refused

    marker = tmp_path / "marker"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (marker,)  # type: ignore[return-value]

    queue = KombuQueue("holdout.cpu", Exchange("holdout.cpu"), routing_key="holdout.cpu")
    with Connection(broker.url) as connection:
        Producer(connection).publish(
            {"args": [Bomb()]}, serializer="pickle", exchange=queue.exchange, routing_key=queue.routing_key, declare=[queue]
        )
        seen = []
        with (
            connection.Consumer(queue, accept=celery_app.conf.accept_content, callbacks=[lambda body, message: seen.append(body)]),
            pytest.raises(Refused),
        ):
            connection.drain_events(timeout=5)
    assert seen == []
    assert not marker.exists()


def test_the_parent_leaves_cuda_and_threads_alone() -> None:
    """B099: importing the worker initialises no CUDA; the parent warms up on one thread, so that its children do not hang."""
    program = (
        "import torch, worker.app as app\n"
        "assert not torch.cuda.is_initialized()\n"
        "app._prepare_parent()\n"
        "assert not torch.cuda.is_initialized() and torch.get_num_threads() == 1\n"
        "import os\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    app.warm_up(); os._exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_the_sweepers_celery_is_the_workers() -> None:
    celery = make_celery("redis://127.0.0.1:1/0")
    for name in ("task_acks_late", "worker_prefetch_multiplier", "accept_content", "broker_transport_options", "task_default_queue"):
        assert celery.conf[name] == celery_app.conf[name]
