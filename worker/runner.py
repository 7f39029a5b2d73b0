"""A shard, from its claim to its last commit."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace

import structlog
import torch

from data.dataset import Dataset
from data.preprocessing.state import Preparation
from jobs.materialize import Materializer, RowsChanged
from jobs.plans.extendable import is_extendable
from jobs.plans.fits import PlannedFit
from jobs.plans.replay import Replay
from jobs.spec import JobSpec
from jobs.states import JobStatus
from store.commits import Finish, time_limit_failure
from store.errors import ArtifactsUnavailable, DatabaseUnavailable, LeaseLost
from store.rounds import results, spent_checkpoints
from store.shards import Claim, ClaimedFit, claim, release
from store.sweeping import mark_unsent
from training.environment import environment
from training.loop import Stack, conclude, train
from training.records import EpochRecord, Fit, FitOutcome, StopReason
from training.structure import structure
from worker.advance import advance, finish_of, send_next
from worker.failures import OutOfTime, failure_of, is_fault_of_data
from worker.heartbeat import Heartbeat
from worker.ledger import Ledger
from worker.patience import Interrupted, PatientFiles, Reason, patiently
from worker.place import Workplace
from worker.results import results_of

_log = structlog.get_logger()
_CHECKPOINT_PAUSE = 10
"""Between checkpoints passes at least so many times as long as one takes to write."""


def run_shard(place: Workplace, shard_id: str) -> str:
    """Train a shard if it is to be had.

    Tells what came of it: a job status, `next_round`, `done`, `not_claimed`, `lost`, `handed_back` or `paused`.
    """
    held = None
    try:
        if place.must_leave():
            mark_unsent(place.db, shard_id)
            return "handed_back"
        held = patiently(
            lambda: claim(place.db, shard_id, place.worker_id, place.lease_seconds), place.database_patience_seconds, place.must_leave
        )
        if held is None:
            _log.info("shard_not_claimed", shard=shard_id)
            return "not_claimed"
        held = replace(held, spec=place.limited(held.spec))
        with structlog.contextvars.bound_contextvars(job_id=held.job_id, shard_id=shard_id, attempt=held.attempt, worker=held.worker):
            place.nudge(held.job_id)
            with Heartbeat(place, held) as heartbeat:
                came_of = _Shard(place, held, heartbeat).run()
            return _go_on(place, held, came_of)
    except LeaseLost:
        _log.warning("lease_lost", shard=shard_id, job=None if held is None else held.job_id)
        return "lost"
    except DatabaseUnavailable:  # the sweeper sends it again: its message is lost, or its lease runs out
        _log.warning("database_lost", shard=shard_id, job=None if held is None else held.job_id)
        return "lost"


def _go_on(place: Workplace, held: Claim, came_of: str) -> str:
    """Bring the job further once a shard of it has ended."""
    if came_of == "must_advance":
        return advance(place, held.job_id)
    if came_of == "done":
        send_next(place, held.job_id, str(held.spec["device"]))
    return came_of


class _Shard:
    """One claimed shard at work."""

    def __init__(self, place: Workplace, held: Claim, heartbeat: Heartbeat) -> None:
        self._place = place
        self._claim = held
        self._heartbeat = heartbeat
        self._files = PatientFiles(place.artifacts, place.patience_seconds, self._wanted)
        self._spec = JobSpec.model_validate(held.spec)
        self._keeps_last = place.keeps_last_checkpoints and held.round == 0 and is_extendable(self._spec.plan)
        self._ledger = Ledger(place, held, self._files, keeps_last=self._keeps_last)
        self._device = "cuda" if self._spec.device != "cpu" and torch.cuda.is_available() else "cpu"
        self._began = time.monotonic()
        self._checkpointed_at = time.monotonic()
        self._checkpoint_seconds = place.checkpoint_seconds
        self._is_pausing = False
        self._planned: Mapping[int, PlannedFit] = {}
        self._preparations: dict[int, Preparation] = {}
        self._replay: Replay | None = None

    def run(self) -> str:
        """Train to the end, or to the first order to stop."""
        try:
            dataset = self._files.wait_for(lambda: self._place.datasets.load(self._spec.dataset))
            self._planned = self._place.plans.planned(self._claim.job_id, self._claim.round, lambda: self._replayed(dataset))
            for fits in self._groups(dataset):
                reason = self._train(fits)
                if reason is not None:
                    return self._stop(reason)
            return self._conclude(dataset)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Interrupted as order:
            return self._stop(order.reason)
        except Exception as error:  # noqa: BLE001  whatever it is, the job must end and say so; exits and signals are no Exceptions
            _log.exception("shard_failed", job=self._claim.job_id, shard=self._claim.shard_id)
            return self._fail(error)

    def _replayed(self, dataset: Dataset) -> Mapping[int, PlannedFit]:
        """Replay the plan up to this shard's round: the first one needs no results."""
        known = results(self._place.db, self._claim.job_id) if self._claim.round > 0 else []
        self._replay = Replay(self._spec, dataset)
        return self._replay.go_on(results_of(known, self._files)).planned

    def _groups(self, dataset: Dataset) -> Iterator[list[Fit]]:
        """Prepare fits and group those that are trained together. One that cannot be prepared fails alone."""
        materializer = Materializer(dataset, self._place.prepared)
        groups: dict[object, list[Fit]] = {}
        for claimed in self._claim.fits:
            try:
                made = materializer.materialize(self._planned_as(claimed))
            except OutOfTime:
                raise
            except Exception as error:  # noqa: BLE001  the other fits go on
                _log.warning(
                    "fit_unprepared", job=self._claim.job_id, fit=claimed.number, reason=str(error), exc_info=not is_fault_of_data(error)
                )
                self._ledger.fail(claimed.number, error)
                continue
            self._preparations[claimed.number] = made.preparation
            fit = replace(made.fit, keeps_checkpoint=self._keeps_last)
            groups.setdefault((structure(fit), claimed.checkpoint_epoch), []).append(fit)
        yield from groups.values()

    def _planned_as(self, claimed: ClaimedFit) -> PlannedFit:
        planned = self._planned.get(claimed.number)
        if planned is None or planned.row_hash != claimed.row_hash:
            raise RowsChanged(f"fit {claimed.number}: the rows of dataset {self._spec.dataset} are not those that were planned")
        return planned

    def _train(self, fits: list[Fit]) -> Reason | None:
        """Train one stack to its end, None, or until there is a reason to stop."""
        try:
            stack = Stack(fits, self._device)
            kept = {fit.number: content for fit in fits if (content := self._ledger.checkpoint_of(fit.number)) is not None}
            if kept:
                stack.restore(kept)
            reason = self._follow(stack)
            if reason is not None and not isinstance(reason, StopReason):
                self._checkpoint(stack)
                if self._ledger.write().is_cancelled:  # what is not wanted any more is not handed back: it keeps its best weights
                    reason = StopReason.CANCELLED
            if isinstance(reason, StopReason):
                self._end_stack(stack, reason)
        except (LeaseLost, DatabaseUnavailable, OutOfTime, Interrupted):
            raise
        except Exception as error:  # noqa: BLE001  the other stacks go on
            _log.exception("stack_failed", job=self._claim.job_id, fits=[fit.number for fit in fits])
            for fit in fits:
                self._ledger.fail(fit.number, error)
            return None
        return reason

    def _end_stack(self, stack: Stack, reason: StopReason) -> None:
        """End what a stack still trains."""
        for outcome in conclude(stack, reason):
            self._end(outcome)
        for event in stack.unread:
            if isinstance(event, EpochRecord):
                self._ledger.add(event)

    def _follow(self, stack: Stack) -> Reason | None:
        """Take a stack's events."""
        for event in train(stack):
            if isinstance(event, EpochRecord):
                self._ledger.add(event)
                reason = self._order()
                if reason is not None:
                    return reason
            else:
                self._end(event)
            if stack.is_between_epochs:
                if self._place.must_leave():
                    return "leave"
                if self._is_pausing:
                    return "pause"
                if time.monotonic() - self._checkpointed_at >= self._checkpoint_seconds:
                    self._checkpoint(stack)
        return None

    def _end(self, outcome: FitOutcome) -> None:
        self._ledger.end(outcome, self._planned[outcome.fit], self._preparations[outcome.fit])

    def _wanted(self) -> Reason | None:
        """Tell what is wanted other than to wait for files."""
        if self._heartbeat.is_lost:
            raise LeaseLost(self._claim.shard_id)
        if self._heartbeat.is_cancelled:
            return StopReason.CANCELLED
        if self._is_out_of_time:
            return StopReason.TIME_LIMIT
        if self._place.must_leave():
            return "leave"
        return "pause" if self._heartbeat.is_pausing else None

    @property
    def _is_out_of_time(self) -> bool:
        limit = self._spec.time_limit_seconds
        return limit is not None and self._claim.elapsed_seconds + time.monotonic() - self._began >= limit

    def _order(self) -> StopReason | None:
        """Flush if it is time, and learn whether to stop."""
        is_cancelled, self._is_pausing = self._heartbeat.is_cancelled, self._is_pausing or self._heartbeat.is_pausing
        if self._heartbeat.is_lost:
            raise LeaseLost(self._claim.shard_id)
        if self._ledger.is_due:
            orders = self._ledger.write()
            is_cancelled, self._is_pausing = orders.is_cancelled or is_cancelled, orders.is_pausing
        if is_cancelled:
            return StopReason.CANCELLED
        return StopReason.TIME_LIMIT if self._is_out_of_time else None

    def _checkpoint(self, stack: Stack) -> None:
        """Keep what live fits have come to: whoever takes over goes on from there."""
        began = time.monotonic()
        try:
            for number, content in stack.checkpoint().items():
                self._ledger.keep(number, stack.next_epoch - 1, content)
        except ArtifactsUnavailable as error:  # whoever takes over goes on from an earlier one, and training from here
            _log.warning("checkpoint_unwritten", shard=self._claim.shard_id, reason=str(error))
        self._checkpointed_at = time.monotonic()
        # Many fits, large networks or a slow store: what is written must not take the time of what is trained.
        self._checkpoint_seconds = max(self._place.checkpoint_seconds, _CHECKPOINT_PAUSE * (self._checkpointed_at - began))

    def _stop(self, reason: Reason) -> str:
        """End the shard, and the job with it, or hand the shard back."""
        if not isinstance(reason, StopReason):
            self._ledger.write()
            release(self._place.db, self._claim)
            self._place.nudge(self._claim.job_id)
            _log.info("shard_handed_back", shard=self._claim.shard_id, job=self._claim.job_id, reason=reason)
            return "paused" if reason == "pause" else "handed_back"
        if reason is StopReason.CANCELLED:
            return self._write_end(Finish(status=JobStatus.CANCELLED))
        return self._write_end(Finish(status=JobStatus.FAILED, failure=time_limit_failure(self._spec.time_limit_seconds)))

    def _conclude(self, dataset: Dataset) -> str:
        """End the shard. Where no other is open its plan is replayed here, and the job may end in the same transaction."""
        if self._claim.is_alone:
            known = self._ledger.brought_up_to_date(results(self._place.db, self._claim.job_id))
            replay = self._replay or Replay(self._spec, dataset)
            conclusion = replay.go_on(results_of(known, self._files)).conclusion
            if conclusion is not None:
                return self._write_end(finish_of(conclusion))
        return self._write_done()

    def _fail(self, error: Exception) -> str:
        """End the shard for what happened to all of it: its fits fail, and their plan decides; a worker's own time limit ends the job."""
        for claimed in self._claim.fits:
            self._ledger.fail(claimed.number, error)
        if isinstance(error, OutOfTime):
            return self._write_end(Finish(status=JobStatus.FAILED, failure=failure_of(error)))
        return self._write_done()

    def _write_done(self) -> str:
        orders = self._ledger.write(is_done=True, environment=environment(self._device))
        if orders.is_cancelled:
            return JobStatus.CANCELLED.value
        return "must_advance" if orders.must_advance else "done"

    def _write_end(self, final: Finish) -> str:
        self._ledger.write(final=final, environment=environment(self._device))
        if final.pruned:
            self._place.discard(spent_checkpoints(self._place.db, self._claim.job_id))
        _log.info("job_ended", job=self._claim.job_id, status=final.status.value)
        return final.status.value
