"""How commands print: data to stdout, everything else to stderr; plain text where nobody looks on."""

import datetime as dt
import statistics
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPED_WIDTH = 1000
"""Where no terminal bounds lines, nothing is cut off."""


def stdout() -> Console:
    """Open stdout. Colours are left out where it is no terminal, or NO_COLOR is set."""
    return _console(is_error=False)


def stderr() -> Console:
    """Open stderr, likewise."""
    return _console(is_error=True)


def _console(*, is_error: bool) -> Console:
    stream = sys.stderr if is_error else sys.stdout
    return Console(stderr=is_error, highlight=False, markup=False, width=None if stream.isatty() else _PIPED_WIDTH)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print rows. Text of others is shown as it is: no markup is read out of it."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    stdout().print(table)


def shown(value: Any) -> str:
    """Write a value for people: numbers with four digits, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
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
