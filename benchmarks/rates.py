"""Tables from a script that writes rates of kinds of requests by round (reading.py), rather than ratios."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from report import Part, Row, at_least, at_most, ratio_row

_BESIDE = {"poll": "curve", "poll_long": "curve"}
"""What of the peer's a kind is compared with, where it is not the same kind: MLflow has no answer for what is unchanged."""


def table_of_rates(document: Mapping[str, Any], title: str) -> dict[str, Any]:
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
        part.rows.append(ratio_row(f"{one['what']} (/s)", next(rounds), f"MLflow: {beside['what']}", next(rounds), wanted))
    part.rows += [_memory(name, size, document["memory_target_mb"]) for name, size in document["memory_mb"].items() if "holdout" in name]
    return asdict(part)


def _memory(name: str, size: float, most: float) -> Row:
    wanted = at_most(1.0)
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
