"""`holdout jobs`: list, read and order jobs."""

import itertools
import sys
from typing import Annotated

import typer

from cli.remote import JobId, Json, Key, Url, print_json, service
from cli.showing import print_table, shown, shown_time
from cli.training import show_job
from holdout import Job

app = typer.Typer(no_args_is_help=True, help="List, read, cancel, pause, resume, extend and delete jobs.")


@app.command(name="list")
def show(
    status: Annotated[
        list[str] | None, typer.Option(help="queued, running, paused, succeeded, failed or cancelled. May be repeated.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Those on this dataset.")] = None,
    plan: Annotated[str | None, typer.Option(help="Those of this plan.")] = None,
    name: Annotated[str | None, typer.Option(help="Those with this in their name.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Those with this metadata. May be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, newest first.")] = 20,
    *,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """List jobs, newest first."""
    wanted = dict(_pair(one) for one in metadata or ())
    with service(url, key) as client:
        found = client.jobs.list(status=status, dataset=dataset, plan=plan, name=name, metadata=wanted, limit=min(limit, 100))
        jobs = list(itertools.islice(found, min(limit, sys.maxsize)))
    if json:
        print_json([job.to_dict() for job in jobs])
        return
    rows = [
        (
            job.id,
            job.name or f"{job.plan} on {job.dataset}",
            job.status,
            f"{job.progress:.0%}",
            *(shown((job["outcome"] or {}).get(name)) for name in ("val_loss", "generalization_gap")),
            job.dataset,
            job.plan,
            shown_time(job["created_at"]),
        )
        for job in jobs
    ]
    heads = ("id", "name", "status", "progress", "validation loss", "gap", "dataset", "plan", "created")
    print_table(heads, rows, spare=("plan", "created", "gap", "dataset", "progress", "validation loss"))


@app.command()
def get(job: JobId, *, json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show a job."""
    with service(url, key, about=f"job {job}") as client:
        found = client.jobs.get(job)
        print_json(found.to_dict()) if json else show_job(found)


@app.command()
def cancel(job: JobId, *, json: Json = False, url: Url = None, key: Key = None) -> None:
    """Stop a job within an epoch. Its epochs are kept, and its best weights where it was running."""
    with service(url, key, about=f"job {job}") as client:
        _told(client.jobs.cancel(job), as_json=json)


@app.command()
def pause(job: JobId, *, json: Json = False, url: Url = None, key: Key = None) -> None:
    """Let a job stand within an epoch, as it is."""
    with service(url, key, about=f"job {job}") as client:
        _told(client.jobs.pause(job), as_json=json)


@app.command()
def resume(job: JobId, *, json: Json = False, url: Url = None, key: Key = None) -> None:
    """Let a paused job go on: its curve is that of one that was never paused."""
    with service(url, key, about=f"job {job}") as client:
        _told(client.jobs.resume(job), as_json=json)


@app.command()
def extend(
    job: JobId,
    max_epochs: Annotated[int, typer.Option(min=1, help="Epochs in all.")],
    *,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Make a new job that goes on where an ended one stopped, to more epochs. Prints its id."""
    with service(url, key, about=f"job {job}") as client:
        made = client.jobs.extend(job, max_epochs)
        print_json(made.to_dict()) if json else typer.echo(made.id)


@app.command()
def delete(
    job: JobId, *, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False, url: Url = None, key: Key = None
) -> None:
    """Delete an ended job with its curves and weights."""
    if not yes:
        typer.confirm(f"Delete job {job} with its curves and weights?", abort=True, err=True)
    with service(url, key, about=f"job {job}") as client:
        client.jobs.delete(job)
        typer.echo(f"deleted {job}", err=True)


def _told(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job.to_dict())
        return
    asked = "cancel" if job["cancel_requested_at"] else "pause" if job["pause_requested_at"] else None
    typer.echo(f"{job.id} {job.status}" + (f", about to {asked}" if asked and not job.has_ended and job.status != "paused" else ""))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        raise typer.BadParameter(f"{text!r}: write it like owner=vision", param_hint="--metadata")
    return name, value
