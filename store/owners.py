"""Whose is it? Asked by whatever lets a client see only its own."""

from sqlalchemy import select

from store.engine import Database
from store.tables import DatasetRow, JobRow


def owns_job(db: Database, owner: str, job_id: str) -> bool:
    """Tell whether there is such a job and it is this owner's."""
    with db.read() as connection:
        return connection.execute(select(JobRow.id).where(JobRow.id == job_id, JobRow.owner == owner)).first() is not None


def owns_dataset(db: Database, owner: str, dataset_id: str) -> bool:
    """Tell whether there is such an upload and it is this owner's."""
    with db.read() as connection:
        return connection.execute(select(DatasetRow.id).where(DatasetRow.id == dataset_id, DatasetRow.owner == owner)).first() is not None
