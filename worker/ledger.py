"""What a shard's fits have come to: files first, then, a few times a second, one transaction that names them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from data.preprocessing.state import Preparation
from jobs.plans.fits import PlannedFit
from jobs.states import FailureKind, FitStatus
from store.commits import Finish, FitCheckpoint, FitEnd, commit
from store.errors import DatabaseUnavailable
from store.rounds import StoredResult
from store.shards import Claim, Orders
from training.export import save_safetensors
from training.records import EpochRecord, FitOutcome, StopReason
from worker.failures import CheckpointLost, failure_of
from worker.patience import PatientFiles
from worker.place import Workplace
from worker.results import write_outputs

_log = structlog.get_logger()


@dataclass
class _Unwritten:
    """Epochs, ended fits and checkpoints that are not stored yet."""

    epochs: list[EpochRecord] = field(default_factory=list)
    ends: list[FitEnd] = field(default_factory=list)
    checkpoints: list[FitCheckpoint] = field(default_factory=list)


class Ledger:
    """Gathers what one claimed shard has to say and writes it under its lease.

    `ended` are its fits that ended, whether written yet or not. `keeps_last`: ended fits keep what they can be gone on
    with from, for a job that extends theirs.
    """

    def __init__(self, place: Workplace, held: Claim, files: PatientFiles, *, keeps_last: bool = False) -> None:
        """Begin with nothing to write; `files` are waited for where an end depends on them."""
        self._keeps_last = keeps_last
        self.ended: dict[int, FitEnd] = {}
        self._place = place
        self._claim = held
        self._files = files
        self._unwritten = _Unwritten()
        self._flushed_at = time.monotonic()
        self._checkpoints = {fit.number: fit.checkpoint_url for fit in held.fits if fit.checkpoint_url is not None}

    @property
    def is_due(self) -> bool:
        """Tell whether what was gathered has waited long enough."""
        return time.monotonic() - self._flushed_at >= self._place.flush_seconds

    def checkpoint_of(self, number: int) -> bytes | None:
        """Read a fit's last checkpoint, if it has one.

        Raises:
            CheckpointLost: it has one that cannot be read.
        """
        url = self._checkpoints.get(number)
        try:
            return None if url is None else self._files.read(url)
        except FileNotFoundError as error:
            raise CheckpointLost(url) from error

    def add(self, record: EpochRecord) -> None:
        """Take an epoch."""
        self._unwritten.epochs.append(record)
        if record.epoch > 0:
            self._place.counters.add_epoch(record.seconds)

    def keep(self, number: int, epoch: int, checkpoint: bytes, paused: FitOutcome | None = None) -> None:
        """Take what a fit can be gone on with from; one that `paused` waits there for its plan."""
        key = f"jobs/{self._claim.job_id}/fit-{number}-epoch-{epoch}-attempt-{self._claim.attempt}.checkpoint"
        url = self._place.artifacts.write(key, checkpoint) if paused is None else self._files.write(key, checkpoint)
        figures, best = (None, None) if paused is None else (paused.figures, paused.best_epoch)
        self._unwritten.checkpoints.append(FitCheckpoint(number=number, epoch=epoch, url=url, figures=figures, best_epoch=best))

    def end(self, outcome: FitOutcome, planned: PlannedFit, preparation: Preparation) -> None:
        """Take how a fit ended, or that it paused."""
        if outcome.status == "paused":
            assert outcome.checkpoint is not None
            assert outcome.last_epoch is not None
            self.keep(outcome.fit, outcome.last_epoch, outcome.checkpoint, outcome)
            return
        self._end(
            FitEnd(
                number=outcome.fit,
                status=FitStatus(outcome.status),
                stop_reason=outcome.stop_reason.value,
                best_epoch=outcome.best_epoch,
                last_epoch=outcome.last_epoch,
                kept_epoch=outcome.kept_epoch,
                evaluation=outcome.evaluation,
                weights_url=self._write_weights(outcome, planned, preparation),
                message=outcome.message,
                outputs_url=self._write_outputs(outcome, preparation),
                keeps_checkpoint=self._keep_last(outcome),
            )
        )

    def fail(self, number: int, error: Exception) -> None:
        """Take that a fit failed for itself; its epochs so far stay."""
        if number in self.ended:
            return
        failure = failure_of(error)
        nothing: dict[str, Any] = dict.fromkeys(("best_epoch", "last_epoch", "kept_epoch", "evaluation", "weights_url"))
        failed = FitStatus.FAILED
        is_out_of_time = failure["kind"] == FailureKind.TIME_LIMIT
        reason = StopReason.TIME_LIMIT.value if is_out_of_time else failed.value  # which ends the job, whoever ends its last shard
        end = FitEnd(
            number=number,
            status=failed,
            stop_reason=reason,
            message=failure["detail"],
            failure=failure,
            keeps_checkpoint=is_out_of_time and self._keeps_last,  # of before its time was over
            **nothing,
        )
        self._end(end)

    def brought_up_to_date(self, stored: Sequence[StoredResult]) -> list[StoredResult]:
        """Give a job's stored results with the ends that were not written yet."""
        names = ("status", "best_epoch", "kept_epoch", "evaluation", "message", "failure", "outputs_url")
        return [
            replace(one, **{name: getattr(self.ended[one.number], name) for name in names}) if one.number in self.ended else one
            for one in stored
        ]

    def write(self, *, is_done: bool = False, final: Finish | None = None, environment: dict[str, Any] | None = None) -> Orders:
        """Write what was gathered, trying again while the database is away, for as long as the lease would last.

        Raises:
            LeaseLost: this attempt does not hold the shard any more; nothing was written.
            DatabaseUnavailable: the database stayed away.
        """
        taken, self._unwritten = self._unwritten, _Unwritten()
        give_up_at = time.monotonic() + self._place.lease_seconds
        attempts = 0
        while True:
            try:
                orders = commit(
                    self._place.db,
                    self._claim,
                    lease_seconds=self._place.lease_seconds,
                    epochs=taken.epochs,
                    outcomes=taken.ends,
                    checkpoints=taken.checkpoints,
                    is_done=is_done,
                    finish=final,
                    environment=environment,
                )
            except DatabaseUnavailable:
                if time.monotonic() >= give_up_at:
                    raise
                attempts += 1
                time.sleep(min(2.0, 0.1 * 2**attempts))
            else:
                self._flushed_at = time.monotonic()
                self._forget_checkpoints(taken)
                self._place.nudge(self._claim.job_id)
                return orders

    def _end(self, end: FitEnd) -> None:
        self._unwritten.ends.append(end)
        self._place.counters.add(f"fits:{end.status.value}")
        self.ended[end.number] = end

    def _forget_checkpoints(self, written: _Unwritten) -> None:
        """Delete files that no row names any more; what is missed here goes with its job."""
        old = []
        for checkpoint in written.checkpoints:
            if self._checkpoints.get(checkpoint.number, checkpoint.url) != checkpoint.url:
                old.append(self._checkpoints[checkpoint.number])
            self._checkpoints[checkpoint.number] = checkpoint.url
        spent = [end.number for end in written.ends if not end.keeps_checkpoint]
        old += [self._checkpoints.pop(number) for number in spent if number in self._checkpoints]
        self._place.discard(old)

    def _keep_last(self, outcome: FitOutcome) -> bool:
        """Store what an ended fit could be gone on with from, if it has that; tell whether it is there."""
        if outcome.checkpoint is None or outcome.last_epoch is None:
            return False
        try:
            self.keep(outcome.fit, outcome.last_epoch, outcome.checkpoint)
        except OSError as error:  # the fit is none the worse for it: its job cannot be extended from here
            _log.warning("last_checkpoint_unwritten", job=self._claim.job_id, fit=outcome.fit, reason=type(error).__name__)
            return False
        return True

    def _write_weights(self, outcome: FitOutcome, planned: PlannedFit, preparation: Preparation) -> str | None:
        if outcome.weights is None:
            return None
        metadata = {
            "job": self._claim.job_id,
            "fit": str(outcome.fit),
            "epoch": str(outcome.kept_epoch),
            "network": planned.spec.network.model_dump_json(),
            "preparation": preparation.model_dump_json(),
        }
        key = f"jobs/{self._claim.job_id}/fit-{outcome.fit}-attempt-{self._claim.attempt}.safetensors"
        return self._files.write(key, save_safetensors(outcome.weights, metadata))

    def _write_outputs(self, outcome: FitOutcome, preparation: Preparation) -> str | None:
        """Store what the fit was asked: class probabilities, or numbers in original units."""
        if outcome.outputs is None:
            return None
        target, outputs = preparation.target, outcome.outputs
        if target.task == "regression":
            outputs = outputs * target.scale + target.offset
        return write_outputs(self._files, f"jobs/{self._claim.job_id}/fit-{outcome.fit}-outputs-attempt-{self._claim.attempt}.npy", outputs)
