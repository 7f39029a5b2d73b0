"""A lock that is handed on in the order in which it was asked for: the standard library's may be had again and again by one thread."""

import threading
from collections import deque


class Turns:
    """Lets one thread at a time go on, first come, first served."""

    def __init__(self) -> None:
        """Nobody has a turn yet."""
        self._mutex = threading.Lock()
        self._waiting: deque[threading.Event] = deque()
        self._is_taken = False

    def take(self, seconds: float) -> bool:
        """Wait for a turn; False if it did not come within so many seconds."""
        with self._mutex:
            if not self._is_taken:
                self._is_taken = True
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        if mine.wait(seconds):
            return True
        with self._mutex:
            if mine.is_set():  # it was handed on in this very moment
                return True
            self._waiting.remove(mine)
            return False

    def hand_on(self) -> None:
        """End this turn."""
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._is_taken = False
