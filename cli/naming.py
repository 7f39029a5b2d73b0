"""Which technique a setting is of where neither spec nor command line says it: the one that the service would take by itself."""

import contextlib
import copy
from collections.abc import Sequence
from typing import Any

from cli.spec_files import Names
from holdout import APIStatusError, Client


def with_names(client: Client, spec: dict[str, Any], made: Sequence[Names]) -> dict[str, Any]:
    """Give the spec with names for those objects that settings made and did not name.

    `--set optimizer.learning_rate=0.01` alone is of the optimizer that a job without this setting would have.
    """
    unnamed = [path for path in dict.fromkeys(made) if "name" not in _object_at(spec, path)]
    if not unnamed:
        return spec
    without = copy.deepcopy(spec)
    for path in unnamed:
        with contextlib.suppress(KeyError, TypeError):  # it is within one that is taken out already
            del _at(without, path[:-1])[path[-1]]
    try:
        default = client.jobs.preview(without)["spec"]
    except APIStatusError:
        return spec  # something else is wrong with it too: all of it is told by whoever submits it
    named = copy.deepcopy(spec)
    for path in unnamed:
        with contextlib.suppress(KeyError, TypeError, IndexError):
            name = _at(default, path)["name"]
            place = _at(named, path)
            place |= {"name": name, **place}
    return named


def _object_at(spec: dict[str, Any], path: Names) -> dict[str, Any]:
    """Give an object; a later setting may have put something else there, which needs no name of ours."""
    try:
        found = _at(spec, path)
    except (KeyError, TypeError, IndexError, ValueError):
        found = None
    return found if isinstance(found, dict) else {"name": None}


def _at(spec: Any, path: Names) -> Any:
    for name in path:
        spec = spec[int(name)] if isinstance(spec, list) else spec[name]
    return spec
