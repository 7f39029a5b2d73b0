"""Plans of many fits: rounds to come, places, pauses, checkpoints, and fits that were pruned."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATES = ("pending", "running", "finished", "diverged", "failed", "cancelled")


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("fits_later", sa.Integer(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("steps_later", sa.BigInteger(), nullable=False, server_default="0"))
        batch.add_column(sa.Column("advance_sent_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("fits") as batch:
        batch.add_column(sa.Column("place", sa.JSON(none_as_null=True), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("failure", sa.JSON(none_as_null=True), nullable=True))
        batch.add_column(sa.Column("outputs_url", sa.Text(), nullable=True))
        batch.add_column(sa.Column("pause_at", sa.Integer(), nullable=True))
        batch.add_column(sa.Column("rungs", sa.JSON(none_as_null=True), nullable=False, server_default="{}"))
        batch.add_column(sa.Column("checkpoint_url", sa.Text(), nullable=True))
        batch.add_column(sa.Column("checkpoint_epoch", sa.Integer(), nullable=True))
        batch.drop_constraint(op.f("ck_fits_status"), type_="check")
        batch.create_check_constraint(op.f("ck_fits_status"), sa.column("status").in_([*_STATES, "pruned"]))


def downgrade() -> None:
    """Take back. Fits that were pruned count as cancelled."""
    op.execute("UPDATE fits SET status = 'cancelled' WHERE status = 'pruned'")
    with op.batch_alter_table("fits") as batch:
        batch.drop_constraint(op.f("ck_fits_status"), type_="check")
        batch.create_check_constraint(op.f("ck_fits_status"), sa.column("status").in_(_STATES))
        for name in ("checkpoint_epoch", "checkpoint_url", "rungs", "pause_at", "outputs_url", "failure", "place"):
            batch.drop_column(name)
    with op.batch_alter_table("jobs") as batch:
        for name in ("advance_sent_at", "steps_later", "fits_later"):
            batch.drop_column(name)
