"""How the queue is configured: what travels is the id of a shard. No torch here: the sweeper uses it too."""

from celery import Celery
from kombu.exceptions import OperationalError

from jobs.messages import ADVANCE_TASK, CPU_QUEUE, TASK, queue_for


def make_celery(broker_url: str) -> Celery:
    """Configure Celery for long tasks.

    Messages are acknowledged late and fetched one at a time; there is no result backend: the database is the result.
    A message may be delivered twice, and the claim in the database lets one of the two work.
    """
    celery = Celery("holdout", broker=broker_url)
    celery.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        task_default_queue=CPU_QUEUE,
        worker_pool="worker.pool:Children",
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=2,
        # Above any run time: a message comes back when its worker died, not because training is long. Recovery is the database's.
        broker_transport_options={
            "visibility_timeout": 40 * 86_400,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_connect_timeout": 1.0,
            "socket_timeout": 30.0,
            "socket_keepalive": True,
        },
        task_publish_retry=True,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0.0, "interval_step": 0.1, "interval_max": 0.1},
    )
    return celery


def make_producer(broker_url: str) -> Celery:
    """Configure what only sends: a broker that hangs must not hold who trains or sweeps. What was not sent is sent later."""
    celery = make_celery(broker_url)
    options = {**celery.conf.broker_transport_options, "socket_connect_timeout": 0.5, "socket_timeout": 1.0, "max_retries": 0}
    celery.conf.update(broker_transport_options=options, task_publish_retry=False)
    return celery


def send(celery: Celery, shard_id: str, device: str) -> None:
    """Hand a shard's id to the broker.

    Raises:
        kombu.exceptions.OperationalError: the broker cannot be reached.
    """
    celery.send_task(TASK, args=(shard_id,), queue=queue_for(device), ignore_result=True)


def try_to_send(celery: Celery, shard_id: str, device: str) -> bool:
    """Hand a shard's id to the broker; False if it cannot be reached, and the sweeper will."""
    try:
        send(celery, shard_id, device)
    except OperationalError:
        return False
    return True


def send_advance(celery: Celery, job_id: str, device: str) -> None:
    """Ask any worker to advance a job's plan.

    Raises:
        kombu.exceptions.OperationalError: as `send`.
    """
    celery.send_task(ADVANCE_TASK, args=(job_id,), queue=queue_for(device), ignore_result=True)
