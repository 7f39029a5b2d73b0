"""The API as it is served: uvicorn on a real port, in a thread of the test."""

import contextlib
import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from api.app import create_app
from api.settings import ApiSettings
from store.artifacts import Artifacts
from store.engine import Database, create_engine
from tests.system import free_port

NOWHERE = "redis://127.0.0.1:1/0"


@dataclass(frozen=True)
class Served:
    """A served API, and what it stands on."""

    port: int
    db: Database
    artifacts: Artifacts
    home: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def raw(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a path as it is written: no client tidies dots or quotes it."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()


@contextlib.contextmanager
def served(home: Path, sqlite_template: Path, **fields: object) -> Iterator[Served]:
    """Serve on an empty SQLite database, without a broker: what it stores is what the sweeper would send."""
    database = home / "holdout.db"
    database.write_bytes(sqlite_template.read_bytes())
    settings = ApiSettings.model_validate({"home": home, "database_url": f"sqlite:///{database}", "broker_url": NOWHERE, **fields})
    app, port = create_app(settings), free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, http="h11", log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run)
    thread.start()
    db = Database(create_engine(settings.database_url))
    try:
        give_up_at = time.monotonic() + 30
        while not server.started:
            assert thread.is_alive()
            assert time.monotonic() < give_up_at
            time.sleep(0.01)
        yield Served(port, db, Artifacts(settings.artifacts_url), home)
    finally:
        server.should_exit = True
        thread.join()
        db.dispose()
