"""How commands print: data to stdout, everything else to stderr; plain text where nobody looks on."""

import datetime as dt
import json
import os
import statistics
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_ID, _FOLDED, _GAP = "id", 16, 3
_LABEL = 14
"""The least that labels of rows get, beside which two ids stand in 80 columns."""
_PIPED_WIDTH = 1000
"""Where no terminal bounds lines, nothing is cut off, unless COLUMNS asks for it."""


def stdout() -> Console:
    """Open stdout. Colours are left out where it is no terminal, or NO_COLOR is set."""
    return _console(is_error=False)


def stderr() -> Console:
    """Open stderr, likewise."""
    return _console(is_error=True)


def _console(*, is_error: bool) -> Console:
    stream = sys.stderr if is_error else sys.stdout
    return Console(stderr=is_error, highlight=False, markup=False, width=None if stream.isatty() else piped_width(_PIPED_WIDTH))


def piped_width(width: int) -> int:
    """Give how wide lines may be where stdout is no terminal: as COLUMNS says, or else `width`."""
    asked = os.environ.get("COLUMNS", "")
    return int(asked) if asked.isdecimal() and int(asked) else width


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None, spare: Sequence[str] = ()) -> None:
    """Print rows. Text of others is shown as it is: no markup is read out of it.

    Ids stay whole: other columns are folded, and those of `spare` left out, the first one first, where they would leave no room.
    """
    console = stdout()
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = {heading: max([cell_len(heading), *(cell_len(row[i]) for row in cells)]) for i, heading in enumerate(headings)}
    kept = list(headings)
    for heading in spare:
        if sum((widths[one] if one == _ID else min(widths[one], _FOLDED)) + _GAP for one in kept) - _GAP > console.width:
            kept.remove(heading)
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in kept:
        table.add_column(heading, overflow="fold", no_wrap=heading == _ID, min_width=widths[heading] if heading == _ID else None)
    for row in cells:
        table.add_row(*(Text(cell) for heading, cell in zip(headings, row, strict=True) if heading in kept))
    console.print(table)


def print_beside(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print things side by side, a column each. A row begins with its label, and the first row has ids, which stay whole.

    Where they do not fit beside one another they are printed in blocks of as many as do.
    """
    console = stdout()
    room = console.width - _LABEL
    fitting = 0
    for cell in rows[0][1:]:
        room -= cell_len(str(cell)) + _GAP
        fitting += room >= 0
    each = max(1, fitting)
    for first in range(0, len(names), each):
        if first:
            console.print()
        heads = ["", *names[first : first + each]]
        block = [[str(row[0]), *(shown(cell) for cell in row[1:][first : first + each])] for row in rows]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for head, width in zip(heads, _widths(heads, block, console.width), strict=True):
            table.add_column(Text(head), overflow="fold", width=width)
        for row in block:
            table.add_row(*map(Text, row))
        console.print(table)


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]], most: int) -> list[int]:
    """Give each column what its first row, an id, takes, and the room that is left to those that have more to say."""
    full = [max(map(cell_len, column)) for column in zip(heads, *rows, strict=True)]
    found = [min(full[0], _LABEL), *map(cell_len, rows[0][1:])]
    room = most - sum(found) - _GAP * (len(found) - 1)
    while room > 0 and found != full:
        for i, width in enumerate(full):
            if found[i] < width and room:
                found[i], room = found[i] + 1, room - 1
    return found


def shown(value: Any) -> str:
    """Write a value for people: numbers with four digits, lists and objects as JSON, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def shown_time(instant: str | None) -> str:
    """Write an instant in the zone of who reads."""
    return "" if instant is None else dt.datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M")


def shown_seconds(seconds: float | None) -> str:
    """Write a length of time."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def shown_gap(gap: dict[str, Any] | None) -> str:
    """Write a generalization gap with its interval."""
    return "" if gap is None else f"{gap['value']:.3g} [{gap['low']:.3g}, {gap['high']:.3g}]"


def shown_spread(values: Sequence[float]) -> str:
    """Write one value, or the mean of several with their standard deviation (n - 1)."""
    if not values:
        return ""
    if len(values) == 1:
        return shown(float(values[0]))
    return f"{statistics.mean(values):.4g} ± {statistics.stdev(values):.2g} (n={len(values)})"
