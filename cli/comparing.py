"""`holdout compare`: what differs between jobs, and what came of it."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli.remote import USAGE, Json, Key, Url, fail, print_json, service, told
from cli.showing import print_table, shown, shown_seconds, shown_spread
from holdout import Client, Job, Record

_LONGEST = 60
_FURTHER = (
    ("validation accuracy", "val_accuracy"),
    ("validation R²", "val_r2"),
    ("test loss", "test_loss"),
    ("test accuracy", "test_accuracy"),
    ("test R²", "test_r2"),
)
"""Figures beside the losses, where a job has them."""


def compare(
    jobs: Annotated[list[str], typer.Argument(metavar="JOB JOB...", help="Ids of two jobs or more.")],
    *,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Show jobs side by side: what each concluded with, and only those fields of their specs that differ."""
    if len(jobs) < 2:
        fail("one job has nothing to be compared with", do="name two or more", code=USAGE)
    with service(url, key) as client:
        found = [_read(client, job, url) for job in jobs]
        figures = [_figures(client.jobs.fits(job.id)) for job in found]
    different = differences([job["spec"] for job in found])
    if json:
        facts = [
            {
                "id": job.id,
                "name": job.name,
                "status": job.status,
                "outcome": job["outcome"],
                "running_seconds": job["running_seconds"],
                **one,
            }
            for job, one in zip(found, figures, strict=True)
        ]
        print_json({"jobs": facts, "differences": different})
        return
    print_table(("", *(job.name or job.id for job in found)), [*_rows(found, figures), *_differing(different)])


def differences(specs: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Give the JSON pointers of fields in which specs differ, with each spec's value; None where one has no such field.

    A field that is absent, as it belongs to another technique, and one that is null are alike.
    """
    flat = [dict(_flattened(spec)) for spec in specs]
    pointers = dict.fromkeys(pointer for one in flat for pointer in one)
    values = {pointer: [one.get(pointer) for one in flat] for pointer in pointers}
    return {
        pointer: found
        for pointer, found in values.items()
        if pointer != "/name" and any(type(one) is not type(found[0]) or one != found[0] for one in found)
    }


def _flattened(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    """List a spec's leaves; a list is one."""
    if isinstance(value, dict) and value:
        parts = [(f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}", inner) for name, inner in value.items()]
        return [leaf for inner_pointer, inner in parts for leaf in _flattened(inner, inner_pointer)]
    return [(pointer, value)]


def _read(client: Client, job: str, url: str | None) -> Job:
    with told(url, about=f"job {job}"):
        return client.jobs.get(job)


def _figures(fits: Sequence[Record]) -> dict[str, list[Any]]:
    """Give what each fit that has epochs came to."""
    known = [fit for fit in fits if fit["best"]]
    return {
        "best_val_loss": [fit.best.get("val_loss") for fit in known],
        "best_epoch": [fit.best_epoch for fit in known],
        "gap_at_best": [fit.best.get("generalization_gap") for fit in known],
        "last_gap": [(fit["last"] or {}).get("generalization_gap") for fit in known],
        "num_parameters": [fit.num_parameters for fit in known],
    }


def _rows(jobs: Sequence[Job], figures: Sequence[dict[str, list[Any]]]) -> list[tuple[Any, ...]]:
    losses = [_came_to(job, "val_loss", one["best_val_loss"]) for job, one in zip(jobs, figures, strict=True)]
    gaps = [_came_to(job, "generalization_gap", one["gap_at_best"]) for job, one in zip(jobs, figures, strict=True)]
    is_ranked = len({job.dataset for job in jobs}) == 1  # losses on other rows are not lower or higher
    least = min(_known(losses), default=None)
    has_several = any(len(one["best_val_loss"]) > 1 for one in figures)
    rows: list[tuple[Any, ...]] = [
        ("id", *(job.id for job in jobs)),
        ("status", *(job.status for job in jobs)),
        ("figures are of", *((job["outcome"] or {}).get("of") for job in jobs)) if has_several else (),
        ("validation loss", *(f"{shown(one)}{' (lowest)' if is_ranked and one is not None and one == least else ''}" for one in losses)),
        ("gap", *map(shown, gaps)),
        *(row for label, name in _FURTHER if any((row := (label, *(_concluded(job, name) for job in jobs)))[1:])),
        ("validation loss of its fits, mean ± sd", *(_spread(one["best_val_loss"]) for one in figures)) if has_several else (),
        ("best epoch", *(_span(one["best_epoch"]) for one in figures)),
        ("gap at last epoch", *(_spread(one["last_gap"]) for one in figures)),
        ("parameters", *(_span(one["num_parameters"]) for one in figures)),
        ("trained for", *(shown_seconds(job["running_seconds"]) for job in jobs)),
    ]
    return [row for row in rows if row]


def _concluded(job: Job, name: str) -> str:
    """Write a figure that a job concluded with, with its interval where it has one."""
    figure = ((job["outcome"] or {}).get("figures") or {}).get(name)
    if figure is None:
        return ""
    bounds = "" if figure["low"] is None else f" [{shown(figure['low'])}, {shown(figure['high'])}]"
    return f"{shown(figure['value'])}{bounds}"


def _came_to(job: Job, name: str, of_fits: Sequence[float | None]) -> float | None:
    """Give what a job concluded with; of one that trains a single fit, how far that is."""
    if job["outcome"] is not None:
        found: float | None = job["outcome"][name]
        return found
    return of_fits[0] if len(of_fits) == 1 else None


def _differing(different: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    return [
        (pointer, *("none" if value is None else _shortened(shown(value)) for value in values)) for pointer, values in different.items()
    ]


def _shortened(text: str) -> str:
    """Cut what is longer than a cell: --json has it whole."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _known(values: Sequence[Any]) -> list[float]:
    return [value for value in values if value is not None]


def _spread(values: Sequence[Any]) -> str:
    return shown_spread(_known(values))


def _span(values: Sequence[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
