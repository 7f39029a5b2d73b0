"""Specs from YAML and JSON, with single fields set on the command line. Nothing is dropped or guessed: what is unclear is an error."""

import copy
import re
import sys
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import yaml

from holdout.requests import as_json

Names = tuple[str, ...]
"""Names on the way to a field."""


class SpecUnreadable(ValueError):
    """A spec that cannot be read; the text says where."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # the library has no types
    """YAML 1.2: `1e-3` is a number, `no` and `on` are words, dates are text, and a key stands once."""

    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT002  as the library calls it
        """Refuse a key that stands twice: the library would take the last one."""
        seen = set[Any]()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else id(key)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{name} stands twice", key.start_mark)
            seen.add(name)
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


_Loader.add_constructor("tag:yaml.org,2002:int", lambda _loader, node: int(node.value))  # 010 is ten

for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), [*_first, *([""] if _tag == "null" else [])])


def read_spec(source: str | None) -> dict[str, Any]:
    """Read a spec: a file of YAML or JSON, `-` for stdin, None for an empty one.

    Raises:
        SpecUnreadable: it is no YAML, or not an object.
        OSError: there is no such file.
    """
    if source is None:
        return {}
    name = "stdin" if source == "-" else source
    try:
        text = (sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecUnreadable(f"{name} is no text in UTF-8 (byte {error.start + 1})") from error
    found = _parsed(text, name)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise SpecUnreadable(f"{name}: a spec is an object with names, like `dataset: digits`")
    return found


def _parsed(text: str, name: str) -> Any:
    """Read YAML, of which JSON is a part."""
    try:
        found: Any = yaml.load(text, _Loader)  # noqa: S506  a SafeLoader that knows fewer types
        as_json(found)  # an alias may lead in a circle, and a number to infinity
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f", line {mark.line + 1}"
        raise SpecUnreadable(f"{name}{where}: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise SpecUnreadable(f"{name}: {error}") from error
    return found


def with_settings(spec: dict[str, Any], settings: Sequence[str], made: list[Names] | None = None) -> dict[str, Any]:
    """Give the spec with `optimizer.learning_rate=0.01`, or `/optimizer/learning_rate=0.01`, set; values are JSON, or else words.

    Paths of objects that a setting needed, and that the spec had not, are added to `made`.

    Raises:
        SpecUnreadable: a setting is not written so, or leads through something that is no object.
    """
    changed = copy.deepcopy(spec)
    for setting in settings:
        path, sign, text = setting.partition("=")
        names = [_unescaped(one) for one in path.split("/")[1:]] if path.startswith("/") else path.split(".")
        if not sign or not all(names):
            raise SpecUnreadable(f"--set {setting}: write it like optimizer.learning_rate=0.01 or /optimizer/learning_rate=0.01")
        _set(changed, names, _value(text, path), setting, [] if made is None else made)
    return changed


def _set(spec: dict[str, Any], names: Sequence[str], value: Any, setting: str, made: list[Names]) -> None:
    place: Any = spec
    for i, name in enumerate(names[:-1]):
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, dict):
            if place.get(name) is None:
                place[name] = {}
                made.append(tuple(names[: i + 1]))
            place = place[name]
        else:
            break
    if isinstance(place, dict):
        place[names[-1]] = value
    elif isinstance(place, list) and names[-1].isdecimal() and int(names[-1]) < len(place):
        place[int(names[-1])] = value
    else:
        raise SpecUnreadable(f"--set {setting}: {names[-1]} has no place, as what is before it is neither an object nor a list so long")


def _value(text: str, path: str) -> Any:
    """Read a value: YAML, so that words need no quotes; what looks like a list or an object and is none is an error."""
    return _parsed(text, f"--set {path}={text}")


def _unescaped(part: str) -> str:
    return part.replace("~1", "/").replace("~0", "~")
