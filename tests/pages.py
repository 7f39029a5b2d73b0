"""Pages of jobs read whole, as a reader that knows none of them gets them."""

from store.engine import Database
from store.listing import JobFilter, Page, Sort, page_query, read_page


def list_jobs(
    db: Database, chosen: JobFilter, *, owner: str | None, sort: Sort = "-created_at", cursor: str | None = None, limit: int = 20
) -> Page:
    """List an owner's jobs (None: everybody's)."""
    return read_page(db, page_query(chosen, owner=owner, sort=sort, cursor=cursor, limit=limit), lambda _id, _version: False)
