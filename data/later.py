"""Modules that are imported when they are first used: large libraries stay out of processes that need them late or never.

What is deferred costs a process nothing until then. One that forks children imports it all before (`load_all`), for they share
what their parent has and would each import what it has not.
"""

import importlib
from typing import Any

_deferred: set[str] = set()


class Later:
    """Stands for a module; the first use of a name in it imports it."""

    def __init__(self, name: str) -> None:
        """Name the module; it is not looked for yet."""
        self._name = name
        _deferred.add(name)

    def __getattr__(self, name: str) -> Any:
        """Give a name of the module, and keep it."""
        if name.startswith("__"):  # asked by whoever looks what kind of object this is
            raise AttributeError(name)
        found = getattr(importlib.import_module(self._name), name)
        setattr(self, name, found)
        return found


def load_all() -> None:
    """Import now what was deferred so far."""
    for name in sorted(_deferred):
        importlib.import_module(name)
