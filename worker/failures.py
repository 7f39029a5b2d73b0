"""From an exception to what a client may know of it: a kind and a sentence. The trace goes to the log."""

import errno
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from data.preprocessing.build import UnfitRows
from jobs.materialize import RowsChanged
from jobs.states import FailureKind
from store.errors import ArtifactsUnavailable

OutOfTime = SoftTimeLimitExceeded
"""What Celery raises in a task that runs longer than it may: no fault of the fit that was being trained."""


_NO_MEMORY = (
    "out of memory",
    "allocate memory",
    "bad_alloc",
    "could not create a memory object",
    "could not create a primitive",
    "can't start new thread",
)


class CheckpointLost(RuntimeError):
    """The file that a fit was to be gone on with from is gone or cannot be read."""


def is_fault_of_data(error: BaseException) -> bool:
    """Tell whether rows or their dataset are at fault, and not the service."""
    return bool(failure_of(error)["kind"] == FailureKind.INVALID_DATA.value)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory was wanting, as Python, NumPy, Arrow, torch, oneDNN, C++ and the system each say it."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return isinstance(error, RuntimeError | OSError) and any(words in str(error).lower() for words in _NO_MEMORY)


def failure_of(error: BaseException) -> dict[str, Any]:
    """Give a failed job's `failure`."""
    if is_out_of_memory(error):
        return failure(FailureKind.OUT_OF_MEMORY, "the worker ran out of memory: use a smaller network or batch_size", retryable=False)
    if isinstance(error, OutOfTime):
        return failure(FailureKind.TIME_LIMIT, "the worker's own time limit was reached", retryable=False)
    if isinstance(error, RowsChanged | UnfitRows):
        return failure(FailureKind.INVALID_DATA, str(error), retryable=False)
    if isinstance(error, KeyError) and str(error.args[0]).startswith("ds_"):
        return failure(FailureKind.INVALID_DATA, "the dataset was deleted", retryable=False)
    if isinstance(error, OSError) and not isinstance(error, ArtifactsUnavailable):
        return failure(FailureKind.INVALID_DATA, "the dataset's files could not be read on the worker", retryable=True)
    return _failure_of_ours(error)


def _failure_of_ours(error: BaseException) -> dict[str, Any]:
    if isinstance(error, ArtifactsUnavailable):
        away = "the store of files could not be reached, or was full, for longer than a worker waits for it"
        return failure(FailureKind.INTERNAL, away, retryable=True)
    is_lost = isinstance(error, CheckpointLost)
    met = f"the worker met an unexpected {type(error).__name__}; its log has the details"
    return failure(FailureKind.INTERNAL, "the stored checkpoint of this fit cannot be read any more" if is_lost else met, retryable=is_lost)


def failure(kind: FailureKind, detail: str, *, retryable: bool) -> dict[str, Any]:
    """Give a `failure` of a kind."""
    return {"kind": kind.value, "detail": detail.replace("\x00", ""), "retryable": retryable}
