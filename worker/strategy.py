"""What a worker does with a message that is no task's: one that Celery cannot unpack would end its whole process, again and again."""

from collections.abc import Callable
from typing import Any

import structlog
from celery.utils.log import get_logger
from celery.worker.strategy import default

_log = structlog.get_logger()
_celery = get_logger(__name__)


def forgiving(task: Any, app: Any, consumer: Any, **options: Any) -> Callable[..., Any]:
    """Handle messages as Celery does, and drop those that it cannot."""
    handle = default(task, app, consumer, **options)

    def handle_or_drop(message: Any, *arguments: Any, **values: Any) -> Any:
        try:
            return handle(message, *arguments, **values)
        except consumer.connection_errors:
            raise
        except Exception as error:  # noqa: BLE001  whatever was sent, the worker goes on
            _log.warning("message_dropped", task=task.name, reason=type(error).__name__)
            message.reject_log_error(_celery, consumer.connection_errors)
            return None

    return handle_or_drop
