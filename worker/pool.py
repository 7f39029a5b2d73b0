"""The pool of children that Celery forks, looked after more often."""

from collections.abc import Callable
from typing import Any

from celery.concurrency.asynpool import AsynPool
from celery.concurrency.prefork import TaskPool

_LOOK_SECONDS = 0.5


class _Pool(AsynPool):  # type: ignore[misc]  # Celery has no types
    """Looks for dead children twice a second.

    Celery looks when a child's end of a pipe closes, which may be a moment before the dead can be waited for, and after that
    only every five seconds: one death of seven cost its job so long.
    """

    @property
    def timers(self) -> dict[Callable[[], Any], float]:
        """Give what is called again and again, and between."""
        return dict.fromkeys(super().timers, _LOOK_SECONDS)


class Children(TaskPool):  # type: ignore[misc]
    """Celery's pool of processes with our eye on them."""

    Pool = _Pool
