"""What travels between processes: ids and nudges, never facts."""

TASK = "holdout.train_shard"
"""Name of the task that trains; its argument is the id of a shard."""
ADVANCE_TASK = "holdout.advance_job"
"""Name of the task that advances a plan whose advancing worker died; its argument is the id of a job."""
CPU_QUEUE = "holdout.cpu"
GPU_QUEUE = "holdout.gpu"
NUDGES = "holdout:jobs"
"""Redis channel on which the id of a job is published after each commit; a lost nudge costs seconds, never data."""


def queue_for(device: str) -> str:
    """Give the queue of jobs that ask for `device`."""
    return GPU_QUEUE if device == "cuda" else CPU_QUEUE
