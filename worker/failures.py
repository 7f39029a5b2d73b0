"""From an exception to what a client may know of it: a kind and a sentence. The trace goes to the log."""

from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from data.preprocessing.build import UnfitRows
from jobs.materialize import RowsChanged
from jobs.states import FailureKind

OutOfTime = SoftTimeLimitExceeded
"""What Celery raises in a task that runs longer than it may: no fault of the fit that was being trained."""


class CheckpointLost(RuntimeError):
    """The file that a fit was to be gone on with from is gone or cannot be read."""


def is_fault_of_data(error: BaseException) -> bool:
    """Tell whether rows or their dataset are at fault, and not the service."""
    return bool(failure_of(error)["kind"] == FailureKind.INVALID_DATA.value)


def failure_of(error: BaseException) -> dict[str, Any]:
    """Give a failed job's `failure`."""
    if isinstance(error, MemoryError) or "out of memory" in str(error) or "can't allocate memory" in str(error):
        return failure(FailureKind.OUT_OF_MEMORY, "the worker ran out of memory: use a smaller network or batch_size", retryable=False)
    if isinstance(error, OutOfTime):
        return failure(FailureKind.TIME_LIMIT, "the worker's own time limit was reached", retryable=False)
    if isinstance(error, RowsChanged | UnfitRows):
        return failure(FailureKind.INVALID_DATA, str(error), retryable=False)
    if isinstance(error, KeyError) and str(error.args[0]).startswith("ds_"):
        return failure(FailureKind.INVALID_DATA, "the dataset was deleted", retryable=False)
    if isinstance(error, OSError):
        return failure(FailureKind.INVALID_DATA, "the dataset's files could not be read on the worker", retryable=True)
    is_lost = isinstance(error, CheckpointLost)
    met = f"the worker met an unexpected {type(error).__name__}; its log has the details"
    return failure(FailureKind.INTERNAL, "the stored checkpoint of this fit cannot be read any more" if is_lost else met, retryable=is_lost)


def failure(kind: FailureKind, detail: str, *, retryable: bool) -> dict[str, Any]:
    """Give a `failure` of a kind."""
    return {"kind": kind.value, "detail": detail.replace("\x00", ""), "retryable": retryable}
