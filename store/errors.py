"""What can go wrong in the store, in the caller's words."""

from data.dataset import RowsAway


class StoreError(Exception):
    """Base of all errors of this package."""


class NotFound(StoreError):
    """Nothing has this id."""


class FitNotFound(NotFound):
    """The job is there, and has no fit of this number."""

    def __init__(self, job_id: str, number: int) -> None:
        """Name both."""
        super().__init__(f"job {job_id} has no fit {number}")


class Conflict(StoreError):
    """The state of things forbids it. `code` is stable, the text is for people."""

    def __init__(self, code: str, detail: str) -> None:
        """Name the conflict."""
        super().__init__(detail)
        self.code = code
        self.detail = detail


class BadCursor(StoreError):
    """A page cursor that this service did not make, or made for another order."""


class LeaseLost(StoreError):
    """The caller no longer holds the shard, or its job has ended: nothing was written, and nothing more may be."""


class DatabaseUnavailable(StoreError):
    """The database cannot be reached."""


class TransactionLost(DatabaseUnavailable):
    """The database undid a transaction for the sake of others: the same again may well succeed."""


class ArtifactsUnavailable(StoreError, RowsAway):
    """Files cannot be read or written now: their store cannot be reached, or is full."""
