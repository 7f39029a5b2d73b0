"""A shard, from its claim to its last commit."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
import torch

from data.dataset import DatasetSource
from data.preprocessing.state import Preparation
from jobs.materialize import materialize
from jobs.plans.fits import Conclusion, FitResult
from jobs.plans.replay import replay
from jobs.spec import JobSpec
from jobs.states import FailureKind, FitStatus, JobStatus
from store.artifacts import Artifacts
from store.engine import Database
from store.errors import DatabaseUnavailable, LeaseLost
from store.shards import Claim, Finish, FitEnd, Orders, claim, commit, release
from training.environment import environment
from training.export import save_safetensors
from training.loop import Stack, conclude, train
from training.records import EpochRecord, FitOutcome, StopReason
from worker.failures import failure, failure_of
from worker.heartbeat import Heartbeat

_log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """What a worker process trains with."""

    db: Database
    artifacts: Artifacts
    datasets: DatasetSource
    worker_id: str
    lease_seconds: float
    flush_seconds: float
    nudge: Callable[[str], None]
    must_leave: Callable[[], bool] = lambda: False
    """True once the process was asked to stop: the shard is handed back at the next epoch."""


@dataclass
class _Buffer:
    """Epochs and ended fits that are not stored yet."""

    epochs: list[EpochRecord] = field(default_factory=list)
    outcomes: list[FitOutcome] = field(default_factory=list)
    flushed_at: float = field(default_factory=time.monotonic)


def run_shard(place: Workplace, shard_id: str) -> str:
    """Train a shard if it is to be had; tell what came of it: a job status, `not_claimed`, `lost` or `handed_back`."""
    held = claim(place.db, shard_id, place.worker_id, place.lease_seconds)
    if held is None:
        _log.info("shard_not_claimed", shard=shard_id)
        return "not_claimed"
    place.nudge(held.job_id)
    try:
        with Heartbeat(place.db, held, place.lease_seconds) as heartbeat:
            return _Shard(place, held, heartbeat).run()
    except LeaseLost:
        _log.warning("lease_lost", shard=shard_id, job=held.job_id, attempt=held.attempt)
        return "lost"
    except DatabaseUnavailable:  # the lease runs out, and whoever then claims the shard goes on
        _log.warning("database_lost", shard=shard_id, job=held.job_id, attempt=held.attempt)
        return "lost"


class _Shard:
    """One claimed shard at work."""

    def __init__(self, place: Workplace, held: Claim, heartbeat: Heartbeat) -> None:
        self._place = place
        self._claim = held
        self._heartbeat = heartbeat
        self._spec = JobSpec.model_validate(held.spec)
        self._began = time.monotonic()
        self._buffer = _Buffer()
        self._ended: list[FitResult] = []
        self._preparations: dict[int, Preparation] = {}

    def run(self) -> str:
        """Train to the end, or to the first order to stop."""
        try:
            dataset = self._place.datasets.load(self._spec.dataset)
            made = [materialize(self._spec, dataset, fit.number, expected_row_hash=fit.row_hash) for fit in self._claim.fits]
            self._preparations = {one.fit.number: one.preparation for one in made}
            device = "cuda" if self._spec.device != "cpu" and torch.cuda.is_available() else "cpu"
            stack = Stack([one.fit for one in made], device)
            return self._train(stack, device)
        except (LeaseLost, DatabaseUnavailable):
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, the job must end and say so; exits and signals are no Exceptions
            _log.exception("job_failed", job=self._claim.job_id)
            return self._finish(Finish(status=JobStatus.FAILED, failure=failure_of(error)))

    def _train(self, stack: Stack, device: str) -> str:
        reason: StopReason | None = None
        for event in train(stack):
            if isinstance(event, EpochRecord):
                self._buffer.epochs.append(event)
                reason = self._order(is_due=time.monotonic() - self._buffer.flushed_at >= self._place.flush_seconds)
                if reason is not None:
                    break
            else:
                self._buffer.outcomes.append(event)
            if self._place.must_leave():
                return self._hand_back()
        if reason is not None:
            self._buffer.outcomes += conclude(stack, reason)
            self._buffer.epochs += [event for event in stack.unread if isinstance(event, EpochRecord)]
        if reason is StopReason.CANCELLED:
            return self._finish(Finish(status=JobStatus.CANCELLED), device)
        if reason is StopReason.TIME_LIMIT:
            detail = f"the time limit of {self._spec.time_limit_seconds} s was reached; the weights kept so far can be downloaded"
            return self._finish(Finish(status=JobStatus.FAILED, failure=failure(FailureKind.TIME_LIMIT, detail, retryable=False)), device)
        return self._conclude(device)

    def _order(self, *, is_due: bool) -> StopReason | None:
        """Flush if it is time, and learn whether to stop."""
        is_cancelled = self._heartbeat.is_cancelled
        if self._heartbeat.is_lost:
            raise LeaseLost(self._claim.shard_id)
        if is_due:
            is_cancelled = self._flush() or is_cancelled
        if is_cancelled:
            return StopReason.CANCELLED
        limit = self._spec.time_limit_seconds
        if limit is not None and self._claim.elapsed_seconds + time.monotonic() - self._began >= limit:
            return StopReason.TIME_LIMIT
        return None

    def _flush(self) -> bool:
        """Store what is buffered; tell whether the job was cancelled."""
        epochs, ends = self._take()
        return self._commit(epochs, ends).is_cancelled

    def _commit(self, epochs: list[EpochRecord], ends: list[FitEnd], final: Finish | None = None, device: str = "cpu") -> Orders:
        """Write, trying again while the database is away, for as long as the lease would last."""
        give_up_at = time.monotonic() + self._place.lease_seconds
        attempts = 0
        while True:
            try:
                orders = commit(
                    self._place.db,
                    self._claim,
                    lease_seconds=self._place.lease_seconds,
                    epochs=epochs,
                    outcomes=ends,
                    finish=final,
                    environment=environment(device) if final is not None else None,
                )
            except DatabaseUnavailable:
                if time.monotonic() >= give_up_at:
                    raise
                attempts += 1
                time.sleep(min(2.0, 0.1 * 2**attempts))
            else:
                self._place.nudge(self._claim.job_id)
                return orders

    def _conclude(self, device: str) -> str:
        """Replay the plan on the results and end the job."""
        epochs, ends = self._take()
        conclusion = replay(self._spec, self._place.datasets.load(self._spec.dataset), self._ended)
        if not isinstance(conclusion, Conclusion):
            raise TypeError("the plan asks for another round, which no plan does yet")
        if conclusion.failure is None:
            final = Finish(status=JobStatus.SUCCEEDED, result=conclusion.result)
        else:
            final = Finish(
                status=JobStatus.FAILED, failure=failure(conclusion.failure, conclusion.message or "a fit diverged", retryable=False)
            )
        return self._write_end(epochs, ends, final, device)

    def _finish(self, final: Finish, device: str = "cpu") -> str:
        epochs, ends = self._take()
        return self._write_end(epochs, ends, final, device)

    def _write_end(self, epochs: list[EpochRecord], ends: list[FitEnd], final: Finish, device: str) -> str:
        self._commit(epochs, ends, final, device)
        _log.info("job_ended", job=self._claim.job_id, status=final.status.value)
        return final.status.value

    def _hand_back(self) -> str:
        release(self._place.db, self._claim)
        self._place.nudge(self._claim.job_id)
        _log.info("shard_handed_back", shard=self._claim.shard_id, job=self._claim.job_id)
        return "handed_back"

    def _take(self) -> tuple[list[EpochRecord], list[FitEnd]]:
        """Empty the buffer. Weights are written before the transaction that names them."""
        taken, self._buffer = self._buffer, _Buffer()
        return taken.epochs, [self._end(outcome) for outcome in taken.outcomes]

    def _end(self, outcome: FitOutcome) -> FitEnd:
        end = FitEnd(
            number=outcome.fit,
            status=FitStatus(outcome.status),
            stop_reason=outcome.stop_reason.value,
            best_epoch=outcome.best_epoch,
            last_epoch=outcome.last_epoch,
            kept_epoch=outcome.kept_epoch,
            evaluation=outcome.evaluation,
            weights_url=self._write_weights(outcome),
            message=outcome.message,
        )
        self._ended.append(
            FitResult(
                number=end.number,
                status=end.status,
                best_epoch=end.best_epoch,
                kept_epoch=end.kept_epoch,
                evaluation=end.evaluation,
                message=end.message,
            )
        )
        return end

    def _write_weights(self, outcome: FitOutcome) -> str | None:
        if outcome.weights is None:
            return None
        metadata = {
            "job": self._claim.job_id,
            "fit": str(outcome.fit),
            "epoch": str(outcome.kept_epoch),
            "network": self._spec.network.model_dump_json(),
            "preparation": self._preparations[outcome.fit].model_dump_json(),
        }
        return self._place.artifacts.write(
            f"jobs/{self._claim.job_id}/fit-{outcome.fit}.safetensors", save_safetensors(outcome.weights, metadata)
        )
