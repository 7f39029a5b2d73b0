"""What a benchmark finds: rows of ratios measured side by side, with their targets; printed, and written as JSON."""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

Rounds = Mapping[int, float]
"""Seconds (or a share) by the number of the round in which they were measured."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A bound of a ratio that holds from one side, and how it reads."""

    bound: float
    is_most: bool
    text: str

    def holds(self, ratio: float) -> bool:
        """Tell whether a ratio reaches it."""
        return ratio <= self.bound if self.is_most else ratio >= self.bound


def at_most(bound: float, text: str = "") -> Target:
    """Ask for a ratio of at most `bound`."""
    return Target(bound=bound, is_most=True, text=f"at most {bound:g}{text and ' ' + text}")


def at_least(bound: float, text: str = "") -> Target:
    """Ask for a ratio of at least `bound`."""
    return Target(bound=bound, is_most=False, text=f"at least {bound:g}{text and ' ' + text}")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: `ratio` of medians, `low` and `high` of the rounds' own ratios, `least` of both sides' shortest (or least) rounds.

    What others compute on the same processor makes rounds longer, never shorter: `least` is how two sides compare undisturbed,
    where their rounds are alike in length. `holds` is of `ratio`, and None where nothing is aimed at.
    """

    what: str
    ours: float
    peer: str
    theirs: float
    ratio: float
    low: float
    high: float
    rounds: int
    least: float | None = None
    target: str = ""
    holds: bool | None = None


@dataclass(kw_only=True)
class Part:
    """One table: what was set up, its rows, what is missing and why, versions, and every measured value by name."""

    title: str
    setting: str = ""
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    raw: dict[str, list[float]] = field(default_factory=dict)


def ratio_row(
    what: str,
    ours: Rounds,
    peer: str,
    theirs: Rounds,
    target: Target | None = None,
    *,
    of: Callable[[float, float], float] | None = None,
    are_seconds: bool = True,
) -> Row:
    """Compare medians over the rounds that have both; `of` makes a ratio of (ours, theirs), ours / theirs unless given.

    Of what is no time (`are_seconds`), as of rates and errors, the shortest rounds say nothing.

    Raises:
        ValueError: no round has both.
    """
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise ValueError(f"no round has both {what} and {peer}")
    ratio_of = of or (lambda own, other: own / other)
    single = [ratio_of(ours[i], theirs[i]) for i in shared]
    own, other = statistics.median(ours[i] for i in shared), statistics.median(theirs[i] for i in shared)
    ratio = ratio_of(own, other)
    return Row(
        what=what,
        ours=own,
        peer=peer,
        theirs=other,
        ratio=ratio,
        low=min(single),
        high=max(single),
        rounds=len(shared),
        least=ratio_of(min(ours[i] for i in shared), min(theirs[i] for i in shared)) if are_seconds else None,
        target="" if target is None else target.text,
        holds=None if target is None else target.holds(ratio),
    )


def write(path: Path | None, parts: Sequence[Part]) -> None:
    """Write parts as JSON, in place of what the file has; do nothing without a path."""
    if path is not None:
        draft = path.with_name(path.name + ".draft")
        draft.write_text(json.dumps([asdict(part) for part in parts], indent=1) + "\n")
        draft.replace(path)


def show(console: Console, part: Part) -> None:
    """Print a part as a table, and what was left out."""
    table = Table(title=part.title, caption=part.setting)
    for heading in ("what", "ours", "beside", "theirs", "ratio", "lowest..highest", "of shortest", "rounds", "target", ""):
        table.add_column(heading)
    for row in part.rows:
        verdict = {None: "", True: "hit", False: "miss"}[row.holds]
        spread = f"{row.low:.3g}..{row.high:.3g}"
        figures = (
            f"{row.ours:.3g}",
            row.peer,
            f"{row.theirs:.3g}",
            f"{row.ratio:.3g}",
            spread,
            "" if row.least is None else f"{row.least:.3g}",
        )
        table.add_row(row.what, *figures, str(row.rounds), row.target, verdict)
    console.print(table)
    for line in part.left_out:
        console.print(f"left out: {line}")


Measure = Callable[[], Mapping[str, float]]
"""Runs one variant; gives values by name."""


@dataclass
class Interleaved:
    """Variants that run turn by turn, each round beginning with another; one in `every` only in each so many rounds.

    A variant that raises is left out from then on, with its reason in `left_out`; what it measured before stays. No round
    but the first begins that would end beyond `budget` seconds.
    """

    variants: dict[str, Measure]
    rounds: int
    budget: float
    every: Mapping[str, int] = field(default_factory=dict)
    found: dict[str, dict[int, float]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def run(self) -> Iterator[str]:
        """Measure; yield each variant's name after it ran."""
        began, last = time.monotonic(), dict.fromkeys(self.variants, 0.0)
        for number in range(self.rounds):
            due = [name for name in self.variants if number % self.every.get(name, 1) == 0]
            if number and time.monotonic() - began + sum(last[name] for name in due) > self.budget:
                return
            for name in due[number % max(1, len(due)) :] + due[: number % max(1, len(due))]:
                started = time.monotonic()
                self._measure(name, number)
                last[name] = time.monotonic() - started
                print(f"[{time.monotonic() - began:5.0f} s] round {number + 1} of {self.rounds}: {name} {last[name]:.2f} s", flush=True)
                yield name

    def _measure(self, name: str, number: int) -> None:
        try:
            values = self.variants[name]()
        except Exception as error:  # noqa: BLE001  whatever fails, the others are still measured
            self.left_out.append(f"{name} from round {number + 1} on: {type(error).__name__}: {error}")
            del self.variants[name]
            return
        for key, value in values.items():
            self.found.setdefault(key, {})[number] = value
