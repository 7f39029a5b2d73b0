"""Tells whether the worker or the sweeper of this container does its work: `python -m worker.health [sweeper]` ends with 0 or 1.

Their containers have no port to ask. A worker is heard of in the database; a sweeper
touches the file HOLDOUT_SWEEPER_NOTE after every round.
"""

import socket
import sys
import time

from store.engine import Database, create_engine
from store.errors import DatabaseUnavailable
from store.workers import live
from worker.settings import WorkerSettings

SILENT_SECONDS = 60.0
"""Longer than a sweeper waits between rounds while the database is away."""


def sweeper_is_well(settings: WorkerSettings) -> bool:
    """Tell whether the sweeper that touches this file did so lately."""
    try:
        return settings.sweeper_note is not None and time.time() - settings.sweeper_note.stat().st_mtime < SILENT_SECONDS
    except FileNotFoundError:
        return False


def worker_is_well(settings: WorkerSettings) -> bool:
    """Tell whether a worker of this host was heard of lately."""
    db = Database(create_engine(settings.database_url))
    try:
        return any(worker.id.startswith(f"{socket.gethostname()}.") for worker in live(db))
    except DatabaseUnavailable:  # no fault of the worker's, which waits for it
        return True
    finally:
        db.dispose()


if __name__ == "__main__":
    sys.exit(not (sweeper_is_well if "sweeper" in sys.argv[1:] else worker_is_well)(WorkerSettings()))
