"""The tables. Classes end in `Row`; the queries over them live in the other modules of this package."""

import datetime as dt
from typing import Any, ClassVar, cast

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Double,
    Enum,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobs.states import FitStatus, JobStatus, ShardStatus

LOCAL = "local"
"""The owner of what was made without a key."""

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[dt.datetime]):
    """An instant in UTC; SQLite has no zones, so they are put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        """Refuse naive datetimes and store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime")
        return value.astimezone(dt.UTC)

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:  # noqa: ARG002  SQLAlchemy's signature
        """Give UTC back."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def _words(kind: type, name: str) -> Enum:
    return Enum(kind, native_enum=False, create_constraint=True, length=16, name=name, values_callable=lambda e: [m.value for m in e])


class Base(DeclarativeBase):
    """Naming convention and types shared by all tables."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dict[str, Any]: JSON(none_as_null=True),
        list[Any]: JSON(none_as_null=True),
        dt.datetime: Instant(),
        float: Double(),
    }


class DatasetRow(Base):
    """An uploaded dataset. `identity` names content and schema: an owner's equal upload is the same dataset. `files` are artifact keys by role."""

    __tablename__ = "datasets"
    __table_args__ = (UniqueConstraint("owner", "identity"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), default=LOCAL)
    identity: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[dt.datetime]
    file_name: Mapped[str] = mapped_column(String(200))
    num_bytes: Mapped[int] = mapped_column(BigInteger)
    info: Mapped[dict[str, Any]]
    upload_schema: Mapped[dict[str, Any]]
    x_unit: Mapped[float]
    files: Mapped[dict[str, Any]]
    profile: Mapped[dict[str, Any]]


def _partial_index(name: str, column: str, rows: str) -> Index:
    """Index the few rows of a large table that are looked for."""
    return Index(name, column, sqlite_where=text(rows), postgresql_where=text(rows))


class JobRow(Base):
    """A job. `version` rises in every transaction that writes an epoch or a state, under this row's lock.

    `queued_at` is when it last entered the queue, `paused_seconds` how long it was paused, and queued after that, before it last went on, `continues` the job that
    it was extended from (which may be gone), `advance_attempts` how often in a row its plan was begun to be advanced in vain.
    `advancer` advances it `advancing_until` then, and longer where it says so.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        Index("ix_jobs_created_at_id", "created_at", "id"),
        Index("ix_jobs_owner_created_at_id", "owner", "created_at", "id"),
        Index("ix_jobs_status_created_at", "status", "created_at"),
        Index("ix_jobs_status_queued_at", "status", "queued_at"),
        Index("ix_jobs_device_status", "device", "status"),
        _partial_index("ix_jobs_finished_at_untidied", "finished_at", "tidied_at IS NULL"),
        _partial_index("ix_jobs_continues", "continues", "continues IS NOT NULL"),
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), default=LOCAL)
    name: Mapped[str | None] = mapped_column(String(200))
    status: Mapped[JobStatus] = mapped_column(_words(JobStatus, "status"))
    plan: Mapped[str] = mapped_column(String(32))
    dataset: Mapped[str] = mapped_column(String(64), index=True)
    uploaded_dataset: Mapped[str | None] = mapped_column(ForeignKey("datasets.id"), index=True)  # the same, where it is not built in
    device: Mapped[str] = mapped_column(String(8))
    spec: Mapped[dict[str, Any]]
    warnings: Mapped[list[Any]]
    job_metadata: Mapped[dict[str, Any]] = mapped_column("metadata")
    version: Mapped[int] = mapped_column(BigInteger, default=1)
    steps_planned: Mapped[int] = mapped_column(BigInteger)  # as far as was known when it was submitted
    fits_later: Mapped[int] = mapped_column(default=0)  # at most so many come in later rounds of its plan
    steps_later: Mapped[int] = mapped_column(BigInteger, default=0)
    advance_sent_at: Mapped[dt.datetime | None]  # when somebody was last told to advance its plan
    advance_attempts: Mapped[int] = mapped_column(default=0)
    advancer: Mapped[str | None] = mapped_column(String(200))
    advancing_until: Mapped[dt.datetime | None]
    created_at: Mapped[dt.datetime]
    queued_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    finished_at: Mapped[dt.datetime | None]
    cancel_requested_at: Mapped[dt.datetime | None]
    pause_requested_at: Mapped[dt.datetime | None]
    paused_at: Mapped[dt.datetime | None]
    paused_seconds: Mapped[float] = mapped_column(default=0.0)
    tidied_at: Mapped[dt.datetime | None]  # when files of nobody were last looked for in its folder, once it had ended
    continues: Mapped[str | None] = mapped_column(String(40))
    time_limit_seconds: Mapped[float | None]
    phase: Mapped[str] = mapped_column(Text, default="")
    failure: Mapped[dict[str, Any] | None]
    failure_kind: Mapped[str | None] = mapped_column(String(16))  # the kind of `failure`: what metrics count
    result: Mapped[dict[str, Any] | None]
    environment: Mapped[dict[str, Any] | None]


class MetadataRow(Base):
    """One entry of a job's metadata: what lists are filtered by. Rows, for JSON paths differ between databases."""

    __tablename__ = "job_metadata"
    __table_args__ = (Index("ix_job_metadata_key_value", "key", "value"),)

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(String(500))


class ShardRow(Base):
    """The fits of a job that one worker trains together, and who holds them. `attempt` is the fencing token.

    `round` (from 0) is the place of their round in the job's plan.
    """

    __tablename__ = "shards"
    __table_args__ = (
        Index("ix_shards_status_lease_expires_at", "status", "lease_expires_at"),
        Index("ix_shards_status_sent_at", "status", "sent_at"),  # of thousands that wait, a sweeper reads those that are due
    )

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    round: Mapped[int]
    status: Mapped[ShardStatus] = mapped_column(_words(ShardStatus, "status"))
    attempt: Mapped[int] = mapped_column(default=0)
    idle_attempts: Mapped[int] = mapped_column(default=0)  # attempts in a row without a new furthest epoch
    furthest_step: Mapped[int] = mapped_column(BigInteger, default=0)
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_expires_at: Mapped[dt.datetime | None]
    sent_at: Mapped[dt.datetime | None]


class FitRow(Base):
    """One fit: what distinguishes it from its siblings, where it stands, and what came of it.

    `rungs` has for each epoch at which it paused the figures of its best epoch until then. What was learned up to and
    with `checkpoint_epoch` lies under `checkpoint_url`; `outputs_url` is what its plan asked the finished network.
    """

    __tablename__ = "fits"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    shard_id: Mapped[str] = mapped_column(ForeignKey("shards.id", ondelete="CASCADE"), index=True)
    label: Mapped[str] = mapped_column(String(200))
    overrides: Mapped[dict[str, Any]]
    place: Mapped[dict[str, Any]] = mapped_column(default=dict)
    seed: Mapped[int] = mapped_column(BigInteger)
    row_hash: Mapped[str] = mapped_column(String(64))
    num_rows: Mapped[dict[str, Any]]
    num_parameters: Mapped[int] = mapped_column(BigInteger)
    status: Mapped[FitStatus] = mapped_column(_words(FitStatus, "status"))
    stop_reason: Mapped[str | None] = mapped_column(String(32))
    message: Mapped[str | None] = mapped_column(Text)
    steps_planned: Mapped[int] = mapped_column(BigInteger)
    steps_done: Mapped[int] = mapped_column(BigInteger, default=0)
    best_epoch: Mapped[int | None]
    last_epoch: Mapped[int | None]
    kept_epoch: Mapped[int | None]
    evaluation: Mapped[dict[str, Any] | None]
    weights_url: Mapped[str | None] = mapped_column(Text)
    failure: Mapped[dict[str, Any] | None]
    outputs_url: Mapped[str | None] = mapped_column(Text)
    pause_at: Mapped[int | None]
    rungs: Mapped[dict[str, Any]] = mapped_column(default=dict)
    checkpoint_url: Mapped[str | None] = mapped_column(Text)
    checkpoint_epoch: Mapped[int | None]


def _finite(column: str) -> CheckConstraint:
    # NaN fails `x = x` on no database alike (PostgreSQL says NaN = NaN), so bounds do the work on both.
    return CheckConstraint(f"{column} BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308", name=f"{column}_finite")


class EpochRow(Base):
    """One point of a curve. The generalization gap is derived (val_loss - train_loss), never stored."""

    __tablename__ = "epochs"
    __table_args__ = (
        ForeignKeyConstraint(["job_id", "fit_number"], ["fits.job_id", "fits.number"], ondelete="CASCADE"),
        Index("ix_epochs_job_id_version", "job_id", "version"),
        *(_finite(c) for c in ("train_loss", "val_loss", "objective")),
    )

    job_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    fit_number: Mapped[int] = mapped_column(Integer, primary_key=True)
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    train_loss: Mapped[float]
    val_loss: Mapped[float | None]
    train_accuracy: Mapped[float | None]
    val_accuracy: Mapped[float | None]
    train_rmse: Mapped[float | None]
    val_rmse: Mapped[float | None]
    train_r2: Mapped[float | None]
    val_r2: Mapped[float | None]
    objective: Mapped[float | None]
    learning_rate: Mapped[float | None]
    seconds: Mapped[float]
    steps: Mapped[int]


class EventRow(Base):
    """A change of a job's state or of one of its fits, told once under the version that wrote it."""

    __tablename__ = "events"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)  # several in one transaction
    kind: Mapped[str] = mapped_column(String(32))  # "status" | "fit" | "finished" | "cancel_requested" | "pause_requested" | "resumed"
    at: Mapped[dt.datetime]
    data: Mapped[dict[str, Any]]


class IdempotencyRow(Base):
    """An owner's key and the job it made, written in the job's transaction."""

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True, default=LOCAL)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]


class WorkerRow(Base):
    """A live worker's sign of life: what `/readyz` and the check of `device` read. `counters` rise from when it began."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    seen_at: Mapped[dt.datetime]
    devices: Mapped[list[Any]]
    environment: Mapped[dict[str, Any]]
    counters: Mapped[dict[str, Any]] = mapped_column(default=dict)


class ApiKeyRow(Base):
    """A key that lets a client in. Only the SHA-256 of its secret is stored; a key is revoked, never deleted."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64))
    label: Mapped[str | None] = mapped_column(String(200))
    created_at: Mapped[dt.datetime]
    revoked_at: Mapped[dt.datetime | None]


def table(row: type[Base]) -> Table:
    """Give the table of a row class, for statements over its columns."""
    return cast("Table", row.__table__)
