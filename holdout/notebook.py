"""How a job looks in a notebook: status, progress, and the losses as a small line (train solid, validation dashed)."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from holdout.curves import Curves, FitCurve

_WIDTH, _HEIGHT, _EDGE = 240, 56, 4
_BLUE = "#0072B2"


def job_html(job: Mapping[str, Any], curves: Curves | None) -> str:
    """Write a job as a figure; without curves there is no line."""
    name = f"<strong>{escape(str(job['name']))}</strong> " if job.get("name") else ""
    progress = float(job.get("progress") or 0.0)
    facts = [escape(str(job[field])) for field in ("dataset", "plan", "phase") if job.get(field)]
    failure = job.get("failure")
    told = "" if not failure else f"<div>{escape(str(failure['kind']))}: {escape(str(failure['detail']))}</div>"
    line = "" if not curves else spark_line(curves[0])
    return (
        f'<figure style="margin:0">{name}<code>{escape(job["id"])}</code>'
        f'<div>{escape(str(job.get("status")))} <progress value="{progress:.4f}" max="1" aria-label="progress">{progress:.0%}</progress>'
        f" {progress:.0%}</div><div>{' · '.join(facts)}</div>{told}{line}</figure>"
    )


def spark_line(curve: FitCurve) -> str:
    """Draw the losses of a fit as SVG with a sentence that says the same; nothing where there are no two epochs to join."""
    lines = {"train": curve["train_loss"], "validation": curve["val_loss"]}
    heights = [value for values in lines.values() for value in values if value is not None and math.isfinite(value)]
    if len(curve.epoch) < 2 or not heights:
        return ""
    low, high = min(heights), max(heights)
    first, last = curve.epoch[0], curve.epoch[-1]

    def place(epoch: int, value: float) -> str:
        x = _EDGE + (_WIDTH - 2 * _EDGE) * (epoch - first) / (last - first)
        y = _EDGE + (_HEIGHT - 2 * _EDGE) * ((high - value) / (high - low) if high > low else 0.5)
        return f"{x:.1f},{y:.1f}"

    drawn = [
        f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="1.5"{dashes}/>'
        for (_, values), dashes in zip(lines.items(), ("", ' stroke-dasharray="4 3"'), strict=True)
        for points in _pieces(curve.epoch, values, place)
    ]
    best = curve.best()
    if best is not None:
        x, y = place(*best).split(",")
        drawn.append(f'<circle cx="{x}" cy="{y}" r="3" fill="{_BLUE}"/>')
    sentence = f"Loss of {curve.label}: train solid, validation dashed, epochs {first} to {last}"
    sentence += "." if best is None else f"; best at epoch {best[0]}, validation {best[1]:.4g}."
    return (
        f'<svg role="img" aria-label="{escape(sentence)}" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">'
        f"<title>{escape(sentence)}</title>{''.join(drawn)}</svg><figcaption>{escape(sentence)}</figcaption>"
    )


def _pieces(epochs: Sequence[int], values: Sequence[float | None], place: Any) -> list[str]:
    """Join neighbouring epochs that have values; one that has none interrupts the line."""
    pieces: list[list[str]] = [[]]
    for epoch, value in zip(epochs, values, strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(place(epoch, value))
    return [" ".join(piece) for piece in pieces if len(piece) > 1]
