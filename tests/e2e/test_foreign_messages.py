"""Messages that nobody of this service wrote, put in the real queue of a real worker."""

import base64
import json
import pickle
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Exchange, Producer, Queue

from cli.service import Service
from jobs.messages import ADVANCE_TASK, TASK
from tests.system import Client

QUEUE = Queue("holdout.cpu", Exchange("holdout.cpu"), routing_key="holdout.cpu")


class _Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.marker,)


def _send(service: Service, body: object, **options: Any) -> None:
    """Send as Celery does, whatever the body is."""
    with Connection(service.broker.url) as connection:
        Producer(connection).publish(body, exchange=QUEUE.exchange, routing_key=QUEUE.routing_key, declare=[QUEUE], **options)


def _task(name: str, *arguments: object, **headers: object) -> dict[str, Any]:
    number = str(uuid.uuid4())
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    return {
        "body": [list(arguments), {}, embed],
        "headers": {"lang": "py", "task": name, "id": number, "root_id": number, "argsrepr": "", "kwargsrepr": "", **headers},
        "correlation_id": number,
    }


def _raw(service: Service, message: bytes) -> None:
    """Push bytes into the queue as they are."""
    with redis.Redis.from_url(service.broker.url) as client:
        client.lpush("holdout.cpu", message)


def _survives(client: Client, service: Service, starts: int) -> None:
    """See that the worker trains a job afterwards, and was not started again for it."""
    client.until(client.submit("iris", training={"max_epochs": 2})["id"], "succeeded")
    assert _starts(service) == starts


def _starts(service: Service) -> int:
    [worker] = [process for process in service.processes if process.name == "worker"]
    assert worker.is_running
    return worker.starts


@pytest.fixture
def starts(service: Service) -> int:
    """Give how often the worker was started until now."""
    return _starts(service)


def test_a_pickle_in_the_queue_is_never_opened_and_the_worker_goes_on(
    service: Service, client: Client, starts: int, tmp_path: Path
) -> None:
    """B126: as Celery would send it, and as bytes with the name of another serializer."""
    marker = tmp_path / "marker"
    sent = _task(TASK, _Bomb(marker))
    _send(service, serializer="pickle", **sent)
    text = base64.b64encode(pickle.dumps(_Bomb(marker))).decode()
    for kind, encoding in (("application/x-python-serialize", "binary"), ("application/json", "binary"), ("application/x-yaml", "utf-8")):
        properties = {"correlation_id": "x", "delivery_mode": 2, "delivery_info": {"exchange": "holdout.cpu", "routing_key": "holdout.cpu"}, "priority": 0, "body_encoding": "base64", "delivery_tag": str(uuid.uuid4())}  # fmt: skip
        message = {"body": text, "content-encoding": encoding, "content-type": kind, "headers": sent["headers"], "properties": properties}
        _raw(service, json.dumps(message).encode())
    _survives(client, service, starts)
    assert not marker.exists()


@pytest.mark.parametrize("argument", ["shard_nobody", "../../etc/passwd", "a\x00b", "x" * 100_000, None, 7, ["shard"], {"a": 1}, "\ud800"])
@pytest.mark.parametrize("task", [TASK, ADVANCE_TASK])
def test_a_message_of_no_shard_does_nothing(service: Service, client: Client, starts: int, task: str, argument: object) -> None:
    """B126: whoever reached the queue could at most nudge; ids are looked up, and what is none is dropped."""
    _send(service, serializer="json", **_task(task, argument))
    _survives(client, service, starts)


@pytest.mark.parametrize(
    "sent",
    [
        _task("os.system", "true"),
        _task("celery.backend_cleanup"),
        _task(TASK),
        _task(TASK, "a", "b", "c"),
        _task(TASK, "a", retries=-5, eta="never", expires="yesterday", timelimit=["x", "y"]),
        {"body": "text", "headers": {}},
        {"body": {}, "headers": {"task": TASK, "id": None}},
    ],
)  # fmt: skip
def test_a_message_of_another_shape_is_dropped(service: Service, client: Client, starts: int, sent: dict[str, Any]) -> None:
    """B126."""
    _send(service, serializer="json", **sent)
    _survives(client, service, starts)
