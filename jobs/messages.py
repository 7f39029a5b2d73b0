"""What travels between processes: ids and nudges, never facts."""

TASK = "holdout.train_shard"
"""Name of the one task; its argument is the id of a shard."""
CPU_QUEUE = "holdout.cpu"
GPU_QUEUE = "holdout.gpu"
NUDGES = "holdout:jobs"
"""Redis channel on which the id of a job is published after each commit; a lost nudge costs seconds, never data."""


def queue_for(device: str) -> str:
    """Give the queue of jobs that ask for `device`."""
    return GPU_QUEUE if device == "cuda" else CPU_QUEUE
