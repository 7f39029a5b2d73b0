"""Uploaded datasets, and which jobs use them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_name", sa.String(length=200), nullable=False),
        sa.Column("num_bytes", sa.BigInteger(), nullable=False),
        sa.Column("info", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("upload_schema", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("x_unit", sa.Double(), nullable=False),
        sa.Column("files", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("profile", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_datasets")),
        sa.UniqueConstraint("identity", name=op.f("uq_datasets_identity")),
    )
    with op.batch_alter_table("jobs") as batch:
        batch.add_column(sa.Column("uploaded_dataset", sa.String(length=40), nullable=True))
        batch.create_foreign_key(op.f("fk_jobs_uploaded_dataset_datasets"), "datasets", ["uploaded_dataset"], ["id"])
        batch.create_index(op.f("ix_jobs_uploaded_dataset"), ["uploaded_dataset"])


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("jobs") as batch:
        batch.drop_index(op.f("ix_jobs_uploaded_dataset"))
        batch.drop_constraint(op.f("fk_jobs_uploaded_dataset_datasets"), type_="foreignkey")
        batch.drop_column("uploaded_dataset")
    op.drop_table("datasets")
