"""Jobs of four folds in shards, for tests of rounds."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from sqlalchemy import select, update

from jobs.plans.fits import PlannedFit
from jobs.states import FitStatus, JobStatus, ShardStatus
from store.commits import Finish, FitCheckpoint, FitEnd, commit
from store.engine import Database
from store.fits import list_fits
from store.jobs import Created, create_job
from store.shards import MAX_IDLE_ATTEMPTS, Claim, Orders, claim, release_worker
from store.tables import EpochRow, ShardRow
from tests.factories import LEASE, a_record, a_resolved, an_end
from training.records import EpochRecord

FIGURES = {"train_loss": 0.5, "val_loss": 0.6}
SUCCESS = Finish(status=JobStatus.SUCCEEDED, result={"plan": "fit"})
EPOCHS = 4


@cache
def four_folds() -> tuple[PlannedFit, ...]:
    """Four folds of iris, four epochs each."""
    return tuple(a_resolved(split={"name": "k_fold", "folds": 4}, training={"max_epochs": EPOCHS}).fits)


def a_job_of_folds(db: Database, *groups: Sequence[int], later: int = 0) -> Created:
    """Create a job of four folds in shards of these fits; `later` more fits may come."""
    resolved = a_resolved(split={"name": "k_fold", "folds": 4}, training={"max_epochs": EPOCHS}, time_limit_seconds=60)
    fits = {fit.number: fit for fit in resolved.fits}
    first = replace(resolved.first_round, later_fits=later, later_steps=later * fits[1].steps_planned)
    return create_job(db, replace(resolved, first_round=first), [[fits[number] for number in group] for group in groups])


def take(db: Database, shard_id: str, worker: str = "w/1") -> Claim:
    held = claim(db, shard_id, worker, LEASE)
    assert held is not None
    return held


def records_of(number: int, *epochs: int) -> list[EpochRecord]:
    steps = four_folds()[0].steps_per_epoch
    return [replace(a_record(epoch), fit=number, steps=steps if epoch else 0) for epoch in epochs]


def an_end_of(number: int, status: FitStatus = FitStatus.FINISHED) -> FitEnd:
    return replace(an_end(status, last_epoch=EPOCHS), number=number)


def done(db: Database, held: Claim, *numbers: int) -> Orders:
    """Train these fits to their end and end the shard."""
    epochs = [record for number in numbers for record in records_of(number, *range(EPOCHS + 1))]
    return commit(db, held, lease_seconds=LEASE, epochs=epochs, outcomes=[an_end_of(number) for number in numbers], is_done=True)


def pauses(number: int, epoch: int) -> FitCheckpoint:
    return FitCheckpoint(number=number, epoch=epoch, url=f"jobs/j/fit-{number}-epoch-{epoch}.checkpoint", figures=FIGURES, best_epoch=1)


def let_lease_run_out(db: Database, held: Claim) -> None:
    with db.write() as connection:
        past = db.now(connection) - dt.timedelta(seconds=1)
        connection.execute(update(ShardRow).where(ShardRow.id == held.shard_id).values(lease_expires_at=past))


def tire(db: Database, shard_id: str) -> None:
    """Let every attempt at a shard die."""
    for attempt in range(MAX_IDLE_ATTEMPTS):
        take(db, shard_id, f"dead/{attempt}")
        assert release_worker(db, f"dead/{attempt}") == [shard_id]


def statuses_of(db: Database, job_id: str) -> list[str]:
    return [fit.status.value for fit in list_fits(db, job_id)]


def shards_of_job(db: Database, job_id: str) -> dict[str, ShardStatus]:
    with db.read() as connection:
        rows = connection.execute(select(ShardRow.id, ShardRow.status).where(ShardRow.job_id == job_id))
        return {row[0]: row[1] for row in rows}


def epochs_of(db: Database, job_id: str) -> list[tuple[int, int]]:
    with db.read() as connection:
        query = select(EpochRow.fit_number, EpochRow.epoch).where(EpochRow.job_id == job_id)
        return [(row[0], row[1]) for row in connection.execute(query.order_by(EpochRow.fit_number, EpochRow.epoch))]
