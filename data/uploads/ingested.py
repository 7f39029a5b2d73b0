"""What comes of reading an upload: a description, a profile, and array files in a folder."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.dataset import DatasetInfo
from data.uploads.spec import UploadSpec


@dataclass(frozen=True, kw_only=True)
class ColumnProfile:
    """One column of a file. `role` says what it is used as; numbers have a range, words and few numbers have counts."""

    name: str
    role: str
    kind: str
    num_missing: int
    first_missing_row: int | None = None
    num_distinct: int | None = None
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    deviation: float | None = None
    most_frequent: dict[str, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What was found in an upload. `preview` are its first rows, as they came, for tables."""

    num_rows: int
    columns: tuple[ColumnProfile, ...]
    num_duplicate_rows: int | None
    warnings: tuple[str, ...]
    preview: tuple[dict[str, str | None], ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ingested:
    """A dataset that is not stored yet. `spec` is the schema with everything found out filled in."""

    info: DatasetInfo
    spec: UploadSpec
    profile: Profile
    files: dict[str, Path]
    x_unit: float = 1.0
