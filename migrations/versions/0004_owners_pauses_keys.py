"""Owners and keys, pauses, jobs that go on with others, kinds of failure, what workers count."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATES = ("queued", "running", "succeeded", "failed", "cancelled")
_OWNER = "local"
_NULLABLE = ("advancing_until", "pause_requested_at", "paused_at", "tidied_at")


def upgrade() -> None:
    """Apply. What was made before belongs to the owner `local`."""
    _upgrade_jobs()
    with op.batch_alter_table("datasets") as batch:
        batch.add_column(sa.Column("owner", sa.String(64), nullable=False, server_default=_OWNER))
        batch.drop_constraint(op.f("uq_datasets_identity"), type_="unique")
        batch.create_unique_constraint(op.f("uq_datasets_owner_identity"), ["owner", "identity"])
    with op.batch_alter_table("idempotency_keys") as batch:
        batch.add_column(sa.Column("owner", sa.String(64), nullable=False, server_default=_OWNER))
        batch.drop_constraint(op.f("pk_idempotency_keys"), type_="primary")
        batch.create_primary_key(op.f("pk_idempotency_keys"), ["owner", "key"])
    with op.batch_alter_table("workers") as batch:
        batch.add_column(sa.Column("counters", sa.JSON(none_as_null=True), nullable=False, server_default="{}"))
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("label", sa.String(200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )


def _upgrade_jobs() -> None:
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("owner", sa.String(64), nullable=False, server_default=_OWNER))
        batch.add_column(sa.Column("queued_at", sa.DateTime(timezone=True), nullable=True))
        for name in _NULLABLE:
            batch.add_column(sa.Column(name, sa.DateTime(timezone=True), nullable=True))
        batch.add_column(sa.Column("paused_seconds", sa.Double(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("advance_attempts", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("advancer", sa.String(200), nullable=True))
        batch.add_column(sa.Column("continues", sa.String(40), nullable=True))
        batch.add_column(sa.Column("failure_kind", sa.String(16), nullable=True))
        batch.drop_constraint(op.f("ck_jobs_status"), type_="check")
        batch.create_check_constraint(op.f("ck_jobs_status"), sa.column("status").in_([*_STATES, "paused"]))
    op.execute("UPDATE jobs SET queued_at = created_at, failure_kind = failure ->> 'kind'")
    with op.batch_alter_table("jobs") as batch:
        # With a default: processes of the release before may still write jobs while they are exchanged.
        batch.alter_column("queued_at", nullable=False, existing_type=sa.DateTime(timezone=True), server_default=sa.func.now())
        batch.create_index(op.f("ix_jobs_owner_created_at_id"), ["owner", "created_at", "id"])
        batch.create_index(op.f("ix_jobs_status_queued_at"), ["status", "queued_at"])
        batch.create_index(op.f("ix_jobs_device_status"), ["device", "status"])
    op.create_index(op.f("ix_shards_status_sent_at"), "shards", ["status", "sent_at"])


def downgrade() -> None:
    """Take back. Paused jobs wait in the queue; other owners' idempotency keys are forgotten, their uploads never found equal."""
    op.drop_table("api_keys")
    with op.batch_alter_table("workers") as batch:
        batch.drop_column("counters")
    op.execute("DELETE FROM idempotency_keys WHERE owner <> 'local'")
    with op.batch_alter_table("idempotency_keys") as batch:
        batch.drop_constraint(op.f("pk_idempotency_keys"), type_="primary")
        batch.create_primary_key(op.f("pk_idempotency_keys"), ["key"])
        batch.drop_column("owner")
    op.execute("UPDATE datasets SET identity = id WHERE owner <> 'local'")
    with op.batch_alter_table("datasets") as batch:
        batch.drop_constraint(op.f("uq_datasets_owner_identity"), type_="unique")
        batch.create_unique_constraint(op.f("uq_datasets_identity"), ["identity"])
        batch.drop_column("owner")
    _downgrade_jobs()


def _downgrade_jobs() -> None:
    op.drop_index(op.f("ix_shards_status_sent_at"), "shards")
    op.execute("DELETE FROM events WHERE kind IN ('pause_requested', 'resumed')")
    op.execute("UPDATE jobs SET status = 'queued', phase = 'waiting for a worker' WHERE status = 'paused'")
    with op.batch_alter_table("jobs") as batch:
        batch.drop_index(op.f("ix_jobs_owner_created_at_id"))
        batch.drop_index(op.f("ix_jobs_status_queued_at"))
        batch.drop_index(op.f("ix_jobs_device_status"))
        batch.drop_constraint(op.f("ck_jobs_status"), type_="check")
        batch.create_check_constraint(op.f("ck_jobs_status"), sa.column("status").in_(_STATES))
        for name in ("failure_kind", "continues", "advancer", "advance_attempts", "paused_seconds", *_NULLABLE, "queued_at", "owner"):
            batch.drop_column(name)
