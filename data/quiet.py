"""Warnings of libraries kept quiet, where what is wrong is said to the sender of a file or a spec and not to the log."""

import threading
import warnings
from types import TracebackType


class _Quiet:
    """Ignores warnings while any thread is inside. Python's own `catch_warnings` mixes up threads that leave in another order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(kind, error, trace)


QUIET = _Quiet()
