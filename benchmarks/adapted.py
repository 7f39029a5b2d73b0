"""Tables of ratios from what benchmarks write, each in its own form."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from report import Part, Row, Target, at_least, at_most, ratio_row

Found = Mapping[str, Any]
"""A table as `report.write` writes it."""
_BESIDE = {"poll": "curve", "poll_long": "curve", "store_single": "store"}
"""What of MLflow's a kind of request is compared with, where it is not the same kind: it has no answer for what is unchanged."""


def tables_of(document: Any, name: str) -> list[Found]:
    """Read what a script wrote: a table or a list of them, a bare list of rows, reading.py's rates or overhead.py's seconds.

    Raises:
        KeyError: a document looks like one of these and is not.
    """
    match document:
        case {"rows": _}:
            return [document]
        case {"holdout": _, "mlflow": _, "ratios": _}:
            return [_rates(document, name)]
        case {"epochs": epochs, "databases": databases}:
            return [_overhead(found, f"{name}, {kind}", epochs) for kind, found in databases.items()]
        case [{"ratio": _}, *_]:
            return [{"title": name, "rows": document}]
        case list():
            return [table for one in document for table in tables_of(one, name)]
    return []


def _overhead(found: Mapping[str, Any], title: str, epochs: int) -> dict[str, Any]:
    """Give the table of seconds by turns: `alone`, `served`, `seen` of a job, and so on."""
    part = Part(title=title, raw={key: value for key, value in found.items() if isinstance(value, list)})
    part.setting = f"Jobs accepted over several connections while nothing trains: {found['accepted_per_second']:.0f} a second."
    alone = _numbered(found["alone"])
    more = at_most(1.10, "of training alone")
    part.rows = [
        ratio_row(
            f"{epochs} epochs through the service, created to finished (s)", _numbered(found["served"]), "training alone", alone, more
        ),
        ratio_row(f"{epochs} epochs through the service, as a client sees it (s)", _numbered(found["seen"]), "training alone", alone, more),
        ratio_row(
            "one epoch, POST to succeeded (s)",
            _numbered(_medians(found["one_epoch"], len(found["script"]))),
            "python train.py",
            _numbered(found["script"]),
            at_most(0.1),
        ),
        *(
            ratio_row(
                f"two jobs at once, the {name} (s)",
                _numbered(found["together"][i::2]),
                "one job alone",
                _numbered(found["single"]),
                at_most(1.15),
            )
            for i, name in enumerate(("one", "other"))
        ),
    ]
    return asdict(part)


def _numbered(values: Sequence[float]) -> dict[int, float]:
    return dict(enumerate(values))


def _medians(values: Sequence[float], count: int) -> list[float]:
    """Give medians of `count` runs of values of the same length."""
    size = len(values) // count
    return [statistics.median(values[i * size : (i + 1) * size]) for i in range(count)]


def _rates(document: Mapping[str, Any], title: str) -> dict[str, Any]:
    """Give the table of {"holdout", "mlflow": {kind: {what, per_second}}, "ratios": {kind: {target}}, "memory_mb", "memory_target_mb"}."""
    part = Part(title=title, setting=f"requests or epochs a second, {document['connections']} connections")
    theirs = document["mlflow"]
    for kind, one in document["holdout"].items():
        beside = theirs.get(_BESIDE.get(kind, kind))
        target = document["ratios"].get(kind, {}).get("target")
        part.raw[f"holdout, {one['what']}"] = one["per_second"]
        if beside is None:
            part.left_out += [f"{one['what']}: no MLflow beside it"] if target else []
            continue
        part.raw[f"MLflow, {beside['what']}"] = beside["per_second"]
        rounds = (dict(enumerate(side["per_second"])) for side in (one, beside))
        wanted = None if target is None else at_least(target, "times as many")
        part.rows.append(
            ratio_row(f"{one['what']} (/s)", next(rounds), f"MLflow: {beside['what']}", next(rounds), wanted, are_seconds=False)
        )
    part.rows += [_memory(name, size, document["memory_target_mb"]) for name, size in document["memory_mb"].items() if "holdout" in name]
    return asdict(part)


def _memory(name: str, size: float, most: float) -> Row:
    wanted: Target = at_most(1.0)
    ratio = size / most
    return Row(
        what=f"resident memory, {name} (MB)",
        ours=size,
        peer="what it may be",
        theirs=most,
        ratio=ratio,
        low=ratio,
        high=ratio,
        rounds=1,
        target=wanted.text,
        holds=wanted.holds(ratio),
    )
