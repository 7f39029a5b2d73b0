"""What is said of a table's columns: profiles, notes, and warnings of what a column seems to be instead."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from data.dataset import Column
from data.uploads.findings import Findings
from data.uploads.ingested import ColumnProfile
from data.uploads.problems import shown
from data.uploads.scan import Scan
from data.uploads.spec import UploadSpec

_ALMOST_NUMBER = re.compile(r"[(+-]?\s?[$€£¥]?\s?\d[\d.,' ]*\s?[%$€£¥)-]?")
_ALMOST_DATE = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}( .*)?")
CONSTANT = "constant"
_HUGE = 1e150
ROW_NUMBER = "counts upwards like a row number"
_SHOWN_VALUES = 20


@dataclass(frozen=True, kw_only=True)
class Feature:
    """A column that is learned from."""

    position: int
    column: Column


class Understood(Protocol):
    """A table whose columns were all looked at."""

    spec: UploadSpec
    names: tuple[str, ...]
    num_rows: int
    scans: dict[str, Scan]


def disguise(scan: Scan) -> str | None:
    """Say what words seem to be instead, and what to do; None if they seem to be words."""
    if scan.is_numeric or scan.first_word is None:
        return None
    row, word = scan.first_word
    if _ALMOST_DATE.fullmatch(word):
        return (
            f"they look like dates (row {row}: {shown(word)}); write them as 2026-01-31 to use them as time, or give their parts as numbers"
        )
    if _ALMOST_NUMBER.fullmatch(word):
        return (
            f"they look like numbers in another notation (row {row}: {shown(word)}); set csv.decimal to the decimal mark, "
            "and remove separators of thousands and signs of percent and money"
        )
    return None


def profiles(table: Understood, features: Sequence[Feature], findings: Findings) -> Iterator[ColumnProfile]:
    """Tell what was found in every column of the file, used or not."""
    spec, kinds = table.spec, {feature.column.name: feature for feature in features}
    roles = {spec.target: "target", spec.group: "group", spec.time: "time", spec.split: "split"}
    for name in table.names:
        scan, feature = table.scans[name], kinds.get(name)
        has_numbers = scan.is_numeric and scan.counted > 0
        kind = "number" if scan.is_numeric else "time" if scan.all_instants and scan.present else "category" if scan.present else "empty"
        if feature is not None:
            kind = feature.column.kind
        shown_counts = None
        if scan.distinct is not None and scan.present and (not has_numbers or scan.distinct <= _SHOWN_VALUES):
            shown_counts = dict(sorted(scan.counts(), key=lambda pair: -pair[1])[:_SHOWN_VALUES])
        yield ColumnProfile(
            name=name,
            role=roles.get(name) or ("feature" if feature is not None else "unused"),
            kind=kind,
            num_missing=scan.missing,
            first_missing_row=scan.first_missing,
            num_distinct=len(scan.counts()) if scan.distinct is not None else None,
            low=scan.low if has_numbers else None,
            high=scan.high if has_numbers else None,
            mean=scan.mean if has_numbers else None,
            deviation=scan.deviation if has_numbers else None,
            most_frequent=shown_counts,
            notes=tuple(_notes(table, scan, findings)),
        )


def extremes(table: Understood, features: Sequence[Feature]) -> Iterator[str]:
    """Warn of numbers that cannot be computed with as they are."""
    for feature in features:
        scan = table.scans[feature.column.name]
        if feature.column.kind != "number" or not scan.counted:
            continue
        reach = max(abs(scan.low), abs(scan.high))
        if reach > _HUGE:
            yield f"column {scan.name} reaches {reach:g}, whose square is beyond what 64 bits hold: no preparation scales it; leave it out"
        elif scan.is_beyond_exact:
            yield f"column {scan.name} holds whole numbers beyond 2^53, which are rounded: if they are names, leave it out"


def _notes(table: Understood, scan: Scan, findings: Findings) -> Iterator[str]:
    if scan.infinite:
        yield f"{scan.infinite} infinite or undefined values count as missing"
    if scan.present and scan.distinct is not None and len(scan.counts()) == 1:
        yield CONSTANT
    if scan.is_numeric and scan.all_whole and scan.is_increasing and table.num_rows > 20 and scan.name != table.spec.time:
        yield ROW_NUMBER
    yield from findings.notes.get(scan.name, ())
