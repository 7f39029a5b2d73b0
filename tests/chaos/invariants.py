"""What must be true of the service after a run, read from outside: over HTTP, from the database, from files and processes."""

import datetime as dt
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func, select

from jobs.states import MOVES, JobStatus
from store.datasets import collect_garbage
from store.tables import EpochRow, EventRow, FitRow, IdempotencyRow, JobRow, MetadataRow, ShardRow, WorkerRow
from store.tidying import tidy
from tests.chaos.client import Unanswered
from tests.chaos.jobs import ENDED, Load, Outcome, Submitted
from tests.chaos.processes import wait_for_none
from tests.chaos.system import System

_UNFINISHED = re.compile(r"\.[0-9a-f]{32}$")


def check_job(load: Load, job: Submitted, calm: dict[str, Outcome]) -> list[str]:
    """Check one job that should have ended."""
    place = f"{job.job_id} ({job.body_name})"
    try:
        read = load.client.get(f"/v1/jobs/{job.job_id}")
        if read["status"] not in ENDED:
            return [f"{place} never ended: {read['status']}, {read['phase']!r}, {read['fit_counts']}"]
        moves = [one["status"] for one in read["transitions"]]
        found = [] if legal(moves) else [f"{place} went {' '.join(moves)}"]
        outcome = load.outcome(job)
    except Unanswered as error:
        return [f"{place}: {error}"]
    found += [
        f"{place}: epochs of fit {curve['number']} are {curve['epoch'][:20]}"
        for curve in outcome.curves
        if curve["epoch"] != list(range(len(curve["epoch"])))
    ]
    if job.is_cancelled:
        return found if read["status"] in {"cancelled", "succeeded"} else [*found, f"{place} was cancelled and ended {read['status']}"]
    if read["progress"] != 1.0:
        found.append(f"{place} ended {read['status']} with progress {read['progress']}")
    return found + [f"{place}: {one}" for one in calm[job.body_name].differences(outcome)]


def legal(statuses: Sequence[str]) -> bool:
    """Tell whether a job may go through these statuses, one after the other, from its beginning."""
    moves = [JobStatus(status) for status in statuses]
    return moves[:1] == [JobStatus.QUEUED] and all(later in MOVES[earlier] for earlier, later in itertools.pairwise(moves))


def check_rows(system: System, load: Load) -> list[str]:
    """Check what the database holds once every job has ended."""
    found = [f"shard {row.id} of {row.job_id} is still {row.status.value}" for row in system.rows(
        select(ShardRow.id, ShardRow.job_id, ShardRow.status).where(ShardRow.status != "done")
    )]  # fmt: skip
    found += [f"fit {row.number} of {row.job_id} is still {row.status.value}" for row in system.rows(
        select(FitRow.job_id, FitRow.number, FitRow.status).where(FitRow.status.in_(("pending", "running")))
    )]  # fmt: skip
    by_key = select(MetadataRow.value, func.count()).where(MetadataRow.key == "chaos").group_by(MetadataRow.value)
    found += [f"key {row[0]} made {row[1]} jobs" for row in system.rows(by_key) if row[1] != 1]
    [(jobs,)], [(keys,)] = (
        system.rows(select(func.count()).select_from(JobRow)),
        system.rows(select(func.count()).select_from(IdempotencyRow)),
    )
    if not jobs == keys == len(load.jobs):
        found.append(f"{len(load.jobs)} jobs were accepted, {keys} keys and {jobs} jobs are stored")
    counted = select(EpochRow.job_id, EpochRow.fit_number, func.count(), func.min(EpochRow.epoch), func.max(EpochRow.epoch))
    found += [
        f"fit {row[1]} of {row[0]} has {row[2]} epochs, {row[3]} to {row[4]}"
        for row in system.rows(counted.group_by(EpochRow.job_id, EpochRow.fit_number))
        if row[3] != 0 or row[4] != row[2] - 1
    ]
    ends = select(EventRow.job_id, func.count()).where(EventRow.kind == "finished").group_by(EventRow.job_id)
    found += [f"{row[0]} was told finished {row[1]} times" for row in system.rows(ends) if row[1] != 1]
    return found


def check_files(system: System) -> list[str]:
    """Check that every file is named by a row, once the sweeper's collection has run."""
    collect_garbage(system.db, system.artifacts, age=dt.timedelta(0))
    while system.rows(select(JobRow.id).where(JobRow.tidied_at.is_(None), JobRow.finished_at.is_not(None)).limit(1)):
        tidy(system.db, system.artifacts, after_seconds=-10 * 86_400)  # clocks were set forth
    root = system.home / "artifacts"
    named = {url for row in system.rows(select(FitRow.weights_url, FitRow.outputs_url, FitRow.checkpoint_url)) for url in row if url}
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    found = [f"unfinished file {name}" for name in sorted(files) if _UNFINISHED.search(name)]
    kinds = Counter(Path(name).suffix for name in files - named if not _UNFINISHED.search(name))
    found += [f"{count} files {kind} that no row names" for kind, count in kinds.items()]
    missing = sorted(named - files)
    return found + [f"{len(missing)} files that rows name are missing: {missing[:3]}"] * bool(missing)


def check_stopped(system: System, workers: set[str]) -> list[str]:
    """Check that nothing is left of a system that was asked to stop: processes, connections, signs of life of `workers`."""
    apart = {system.broker.process.pid} if system.broker.process is not None else set()
    left = [process for process in wait_for_none(system.run, 0.1) if process.pid not in apart and "postgres" not in process.name()]
    found = [f"process {process.pid} is left: {' '.join(process.cmdline())[:120]}" for process in left]
    system.db.dispose()
    found += [f"connection is left: {one}" for one in system.database.connections()]
    rows = [row.id for row in system.rows(select(WorkerRow.id)) if row.id in workers]
    system.db.dispose()
    return found + [f"workers that stopped are not forgotten: {rows}"] * bool(rows)
