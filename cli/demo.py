"""Three real jobs through real HTTP, watched as they train."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table

_POLL_SECONDS = 0.1
_GIVE_UP_SECONDS = 600.0
_ENDED = frozenset({"succeeded", "failed", "cancelled"})

JOBS: tuple[dict[str, Any], ...] = (
    {
        "name": "digits MLP (Adam)",
        "dataset": "digits",
        "network": {"name": "mlp", "hidden_units": [128, 64]},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "training": {"max_epochs": 30, "batch_size": 32},
        "seed": 0,
    },
    {
        "name": "digits CNN (momentum)",
        "dataset": "digits",
        "network": {
            "name": "cnn",
            "blocks": [{"channels": 16, "pool": 2}, {"channels": 32, "pool": 2}],
            "normalization": {"name": "batch_norm"},
            "dropout": 0.1,
        },
        "optimizer": {"name": "momentum", "learning_rate": 0.05},
        "training": {"max_epochs": 30, "batch_size": 64},
        "early_stopping": {"patience": 5},
        "seed": 0,
    },
    {
        "name": "diabetes MLP (SGD)",
        "dataset": "diabetes",
        "network": {"name": "mlp", "hidden_units": [32], "activation": "tanh"},
        "optimizer": {"name": "sgd", "learning_rate": 0.02},
        "training": {"max_epochs": 60},
        "regularization": {"l2": 0.01},
        "early_stopping": {"patience": 10},
        "seed": 0,
    },
)


class JobFailed(RuntimeError):
    """The service refused a job, or did not end it in time."""


@dataclass
class _Watched:
    """A job under way."""

    job: dict[str, Any]
    bar: TaskID
    etag: str = ""
    points: int = 0
    fields: dict[str, Any] = field(default_factory=dict)


def run_demo(console: Console, url: str, home: Path) -> int:
    """Submit, watch, show; 0 only if every job succeeded."""
    key = os.environ.get("HOLDOUT_API_KEY")
    with httpx2.Client(base_url=url, timeout=30, headers={"Authorization": f"Bearer {key}"} if key else None) as client:
        jobs = [_submit(client, spec) for spec in JOBS]
        ended = _watch(console, client, jobs)
        _show(console, client, ended)
        for job in ended:
            picture = home / f"{job['id']}.png"
            picture.write_bytes(client.get(job["links"]["picture"]).content)
            console.print(f"{job['name']}: {url}/ui/jobs/{job['id']}\n  saved as {picture}", highlight=False, soft_wrap=True)
        console.print(f"dashboard: {url}/\nSwagger UI: {url}/docs", highlight=False)
    return 0 if all(job["status"] == "succeeded" for job in ended) else 1


def _submit(client: httpx2.Client, spec: dict[str, Any]) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=spec)
    if answer.status_code != 201:
        raise JobFailed(f"the service refused {spec['name']!r}: {answer.json().get('detail')}")
    job: dict[str, Any] = answer.json()
    return job


def _watch(console: Console, client: httpx2.Client, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=14),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[note]}"),
    )
    give_up_at = time.monotonic() + _GIVE_UP_SECONDS
    with Progress(*columns, console=console) as progress:
        watched = [_Watched(job, progress.add_task(job["name"], total=1.0, note="queued")) for job in jobs]
        while any(one.job["status"] not in _ENDED for one in watched):
            if time.monotonic() > give_up_at:
                raise JobFailed(f"the jobs did not end within {_GIVE_UP_SECONDS:.0f} s")
            for one in watched:
                _poll(client, one)
                done = 1.0 if one.job["status"] in _ENDED else one.job["progress"]
                progress.update(one.bar, completed=done, note=_note(client, one))
            time.sleep(_POLL_SECONDS)
    return [one.job for one in watched]


def _poll(client: httpx2.Client, one: _Watched) -> None:
    """Read a job, unless nothing has changed."""
    if one.job["status"] in _ENDED:
        return
    answer = client.get(one.job["links"]["self"], headers={"If-None-Match": one.etag} if one.etag else {})
    if answer.status_code == 200:
        one.job, one.etag = answer.json(), answer.headers["ETag"]


def _note(client: httpx2.Client, one: _Watched) -> str:
    if one.job["status"] == "queued":
        return "queued"
    if one.job["version"] != one.points:
        one.points = one.job["version"]
        [fit] = client.get(one.job["links"]["fits"]).json()["items"]
        one.fields = fit["last"] or {}
        one.fields["epoch"] = fit["last_epoch"]
    if "val_loss" not in one.fields:
        return str(one.job["status"])
    return f"epoch {one.fields['epoch']}  val loss {one.fields['val_loss']:.4g}"


def _show(console: Console, client: httpx2.Client, jobs: list[dict[str, Any]]) -> None:
    table = Table(title="kept weights, evaluation mode; gap in loss with its 95 % interval", title_justify="left")
    for heading, width in (("job", 21), ("train", 10), ("validation", 10), ("gap", 22), ("best", 4)):
        table.add_column(heading, min_width=width, overflow="fold")
    for job in jobs:
        [fit] = client.get(job["links"]["fits"]).json()["items"]
        table.add_row(*_row(job, fit))
    console.print(table)


def _row(job: dict[str, Any], fit: dict[str, Any]) -> tuple[str, ...]:
    evaluation = fit["evaluation"]
    if evaluation is None:
        return (job["name"], job["status"], "", (job["failure"] or {}).get("detail", ""), "")
    metric, name = ("accuracy", "acc.") if "accuracy" in evaluation["train"] else ("r2", "R2")
    gap = evaluation["generalization_gap"]
    return (
        job["name"],
        f"{name} {evaluation['train'][metric]['value']:.3f}",
        f"{name} {evaluation['val'][metric]['value']:.3f}",
        f"{gap['value']:.3g} [{gap['low']:.3g}, {gap['high']:.3g}]",
        str(fit["best_epoch"]),
    )
