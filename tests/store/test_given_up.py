"""What is given up between two rounds: plans that nobody can advance, time that is over, checkpoints of nobody."""

from dataclasses import replace

from jobs.plans.fits import Round
from store.commits import commit
from store.engine import Database
from store.rounds import begin_round, spent_checkpoints, standing
from store.shards import MAX_IDLE_ATTEMPTS
from store.sweeping import reap
from tests.factories import LEASE
from tests.rounds import a_job_of_folds, an_end_of, four_folds, let_lease_run_out, pauses, records_of, take


def test_a_job_whose_time_was_over_is_known_to_be(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2], [3, 4])
    first, second = (take(db, shard, f"w/{i}") for i, shard in enumerate(created.shard_ids))
    stopped = [replace(an_end_of(number), stop_reason="time_limit") for number in (1, 2)]
    assert not commit(db, first, lease_seconds=LEASE, outcomes=stopped, is_done=True).must_advance
    for attempt in range(MAX_IDLE_ATTEMPTS):
        let_lease_run_out(db, second)
        if attempt < MAX_IDLE_ATTEMPTS - 1:
            second = take(db, created.shard_ids[1], f"dead/{attempt}")
    assert reap(db) == [created.job.id]
    found = standing(db, created.job.id)
    assert found is not None
    assert found.is_timed_out


def test_checkpoints_of_fits_that_nobody_goes_on_with_are_nobodys(db: Database) -> None:
    created = a_job_of_folds(db, [1, 2, 3, 4], later=4)
    held = take(db, created.shard_ids[0])
    commit(db, held, lease_seconds=LEASE, epochs=records_of(1, 0), checkpoints=[pauses(n, 0) for n in (1, 2, 3, 4)], is_done=True)
    goes_on = replace(four_folds()[0], number=1)
    assert begin_round(db, created.job.id, 1, Round(fits=[goes_on], pruned=[2, 3, 4]), [[goes_on]])
    urls = [pauses(n, 0).url for n in (2, 3, 4)]
    assert sorted(spent_checkpoints(db, created.job.id)) == urls
    assert spent_checkpoints(db, created.job.id) == []
