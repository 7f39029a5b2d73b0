"""Other libraries in a process of their own: `peers.py`, run by the interpreter of an environment that has them."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

PEERS = ("loop", "dataloader", "sklearn", "skorch", "lightning", "keras")
NAMES = {
    "loop": "best autograd loop",
    "dataloader": "DataLoader loop",
    "sklearn": "scikit-learn's MLPClassifier",
    "skorch": "skorch",
    "lightning": "Lightning",
    "keras": "Keras on torch",
}


class Peers:
    """A process in another environment, which trains one fit when it is told to."""

    def __init__(self, python: str, epochs: int, rows: Sequence[np.ndarray], network: str = "digits", peers: Sequence[str] = PEERS) -> None:
        """Start it with training and validation rows for one of its networks, and with those of `peers` that it is to try.

        `known` are the peers that it can import, `missing` the others.

        Raises:
            RuntimeError: it ended before it answered.
            OSError: there is no such interpreter.
        """
        script = Path(__file__).with_name("peers.py")
        command = [python, script, str(epochs), network, *peers]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        with tempfile.NamedTemporaryFile(suffix=".npz") as file:
            np.savez(file, *rows)
            file.flush()
            self._say(file.name)
            self.known: dict[str, str] = self._hear()
        self.missing = [name for name in peers if name not in self.known]

    def __enter__(self) -> Self:
        """Keep it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def seconds(self, name: str) -> float:
        """Train one fit; give its wall time.

        Raises:
            RuntimeError: the process ended.
        """
        self._say(name)
        return float(self._hear())

    def _say(self, value: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(value) + "\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the peers' process ended")
        return json.loads(line)
