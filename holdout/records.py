"""JSON objects of the API, with attributes by name."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Found = TypeVar("Found")


class Record(Mapping[str, Any]):
    """A JSON object: `record.name` and `record["name"]` are the same. A field that a later service adds is there too."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        """Stand for an object as it came."""
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> Any:
        """Give a field as it came."""
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        """Name the fields."""
        return iter(self._fields)

    def __len__(self) -> int:
        """Count the fields."""
        return len(self._fields)

    def __getattr__(self, name: str) -> Any:
        """Give a field; objects within it have attributes as well.

        Raises:
            AttributeError: there is no such field; it names those there are.
        """
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return _wrapped(self._fields[name])
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(self._fields)}") from None

    def __dir__(self) -> list[str]:
        """List methods and fields, for whoever presses Tab."""
        return sorted({*super().__dir__(), *self._fields})

    def __repr__(self) -> str:
        """Show the fields."""
        return f"{type(self).__name__}({self._fields!r})"

    def to_dict(self) -> dict[str, Any]:
        """Give the object as plain JSON types."""
        return dict(self._fields)


def _wrapped(value: Any) -> Any:
    if isinstance(value, dict):
        return Record(value)
    if isinstance(value, list):
        return [_wrapped(one) for one in value]
    return value


@dataclass(frozen=True, kw_only=True)
class Page(Generic[Found]):
    """Some of a list. `next_cursor` is given as `cursor` to read on; None at the end."""

    items: list[Found]
    next_cursor: str | None
    has_more: bool
