"""`holdout compare`: what differs between jobs, and what came of it."""

import json as json_format
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from cli.remote import USAGE, Json, Key, Url, fail, print_json, service, told
from cli.showing import print_beside, shown, shown_seconds, shown_spread
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
    print_beside([job.name or job.id for job in found], [*_rows(found, figures), *_differing(different)])


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
    has_several = any(len(one["best_val_loss"]) > 1 for one in figures)
    both = list(zip(jobs, figures, strict=True))
    rows: list[tuple[Any, ...]] = [
        ("id", *(job.id for job in jobs)),
        ("status", *(job.status for job in jobs)),
        ("figures are of", *((job["outcome"] or {}).get("of") for job in jobs)) if has_several else (),
        ("validation loss", *_losses(both)),
        ("gap", *(_concluded(job, "generalization_gap") or _so_far(one["gap_at_best"]) for job, one in both)),
        *(row for label, name in _FURTHER if any((row := (label, *(_concluded(job, name) for job in jobs)))[1:])),
        ("validation loss of its fits, mean ± sd", *(_of(job, _spread(one["best_val_loss"])) for job, one in both)) if has_several else (),
        ("best epoch", *(_of(job, _span(one["best_epoch"])) for job, one in both)),
        ("gap at last epoch", *(_of(job, _spread(one["last_gap"])) for job, one in both)),
        ("parameters", *(_span(one["num_parameters"]) for one in figures)),
        ("trained for", *(shown_seconds(job["running_seconds"]) for job in jobs)),
    ]
    return [row for row in rows if row]


def _losses(jobs: Sequence[tuple[Job, dict[str, list[Any]]]]) -> list[str]:
    """Write validation losses, the lowest marked: of jobs that concluded, on the same dataset. Losses on other rows are not lower or higher."""
    ended = [job for job, _ in jobs if job["outcome"] is not None and job["outcome"]["val_loss"] is not None]
    is_ranked = len(ended) > 1 and len({job.dataset for job in ended}) == 1
    least = min(job["outcome"]["val_loss"] for job in ended) if is_ranked else None
    lowest = [job.id for job in ended if job["outcome"]["val_loss"] == least]
    return [f"{_concluded(job, 'val_loss') or _so_far(one['best_val_loss'])}{' (lowest)' if job.id in lowest else ''}" for job, one in jobs]


def _concluded(job: Job, name: str) -> str:
    """Write a figure that a job concluded with, with its interval where it has one."""
    figure = ((job["outcome"] or {}).get("figures") or {}).get(name)
    if figure is None:
        return ""
    bounds = "" if figure["low"] is None else f" [{shown(figure['low'])}, {shown(figure['high'])}]"
    return f"{shown(figure['value'])}{bounds}"


def _so_far(of_fits: Sequence[float | None]) -> str:
    """Write how far a job is that concluded with nothing: of a single fit, and if it has epochs."""
    return f"{shown(of_fits[0])} so far" if len(of_fits) == 1 and of_fits[0] is not None else ""


def _of(job: Job, text: str) -> str:
    return f"{text} so far" if text and job["outcome"] is None else text


def _differing(different: dict[str, list[Any]]) -> list[tuple[Any, ...]]:
    return [(pointer, *_cells(values)) for pointer, values in different.items()]


def _cells(values: Sequence[Any]) -> list[str]:
    """Write different values shortly; whole, where they would look alike."""
    texts = ["none" if value is None else _shortened(value) for value in values]
    if len(set(texts)) < len({json_format.dumps(value) for value in values}):
        return ["none" if value is None else json_format.dumps(value, ensure_ascii=False) for value in values]
    return texts


def _shortened(value: Any) -> str:
    """Write objects of a list by what they are called, and cut what is longer than a cell: --json has it whole."""
    is_of_objects = isinstance(value, list) and value and all(isinstance(one, dict) for one in value)
    text = ", ".join(map(_called, value)) if is_of_objects else shown(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _called(one: dict[str, Any]) -> str:
    name = one.get("label") or one.get("name")
    return str(name) if name else " ".join(f"{key} {shown(value)}" for key, value in one.items())


def _known(values: Sequence[Any]) -> list[float]:
    return [value for value in values if value is not None]


def _spread(values: Sequence[Any]) -> str:
    return shown_spread(_known(values))


def _span(values: Sequence[int]) -> str:
    if not values:
        return ""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
