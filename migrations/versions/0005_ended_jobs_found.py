"""Jobs that ended are found by whoever tidies after them, however many there are."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INDEXES = {
    "ix_jobs_finished_at_untidied": ("finished_at", sa.text("tidied_at IS NULL")),
    "ix_jobs_continues": ("continues", sa.text("continues IS NOT NULL")),
}
"""Names, with a column and the rows that are meant: few, for most are tidied and go on with no other."""


def upgrade() -> None:
    """Apply."""
    for name, (column, rows) in _INDEXES.items():
        op.create_index(op.f(name), "jobs", [column], sqlite_where=rows, postgresql_where=rows)


def downgrade() -> None:
    """Take back."""
    for name in _INDEXES:
        op.drop_index(op.f(name), "jobs")
