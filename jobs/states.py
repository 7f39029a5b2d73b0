"""States of jobs, shards and fits, and the one table of legal moves."""

from enum import StrEnum


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # accepted and waiting for a worker
    RUNNING = "running"  # at least one of its fits is being trained
    PAUSED = "paused"  # wants no work until a client resumes it
    SUCCEEDED = "succeeded"  # every fit its plan needs finished
    FAILED = "failed"  # ended without what was asked; `failure` says why
    CANCELLED = "cancelled"  # ended because a client asked


class ShardStatus(StrEnum):
    """Where a shard (the fits that one worker trains together) stands."""

    PENDING = "pending"  # waiting for a worker
    RUNNING = "running"  # held under a lease
    DONE = "done"  # ended


class FitStatus(StrEnum):
    """Where a fit stands."""

    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    DIVERGED = "diverged"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PRUNED = "pruned"  # paused, and not gone on with: others did better so far


CLAIMABLE = frozenset({JobStatus.QUEUED, JobStatus.RUNNING})
"""Of these jobs workers take work."""
ACTIVE = CLAIMABLE | {JobStatus.PAUSED}
"""These jobs have not ended."""
TERMINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})

MOVES: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.PAUSED, JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED}),
    JobStatus.PAUSED: frozenset({JobStatus.QUEUED, JobStatus.CANCELLED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}


class FailureKind(StrEnum):
    """What made a job fail."""

    INVALID_DATA = "invalid_data"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    TIME_LIMIT = "time_limit"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal"
