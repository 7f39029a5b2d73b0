"""`holdout train` and `holdout watch`."""

from typing import Annotated, Any

import typer

from cli.naming import with_names
from cli.remote import EXIT_CODES, USAGE, JobId, Json, Key, Url, fail, fit_of, print_json, service, told
from cli.showing import print_table, shown_seconds
from cli.spec_files import Names, SpecUnreadable, read_spec, with_settings
from cli.watching import duration, watch_job
from holdout import Client, Job, Record

Timeout = Annotated[
    float | None, typer.Option(parser=duration, metavar="TIME", help="How long to watch at most: 90s, 5m, 2h. The job is left alone.")
]


def train(
    spec: Annotated[
        str | None, typer.Argument(metavar="[SPEC]", help="File of YAML or JSON; - is stdin. Not needed with --dataset.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Set a field: optimizer.learning_rate=0.01. It wins over the spec and over --dataset and --name. May be repeated.",
        ),
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Dataset to train on: the spec's `dataset`.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the job.")] = None,
    what_helps: Annotated[
        str | None, typer.Option(metavar="JOB", help="Compare what the diagnosis of this job's fit suggests with the fit as it is.")
    ] = None,
    fit: Annotated[int | None, typer.Option(min=1, help="With --what-helps: number of the fit, if the job has several.")] = None,
    *,
    watch: Annotated[bool, typer.Option("--watch/--detach", "-w/-d", help="Watch it to its end, or print its id and leave.")] = True,
    timeout: Timeout = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what the job would be, and create nothing.")] = False,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Submit a job and watch it. Ctrl-C leaves it running."""
    if what_helps is None and fit is not None:
        fail("--fit is of a job that --what-helps names", do="leave it out", code=USAGE)
    if what_helps is not None and (spec is not None or dataset is not None):
        fail(
            "--what-helps makes the spec, and the dataset is the job's", do="leave out SPEC and --dataset; --set still applies", code=USAGE
        )
    with service(url, key) as client:
        known = _read(spec) if what_helps is None else _suggested(client, what_helps, fit, url)
        body = with_names(client, *_body(known, settings or [], {"dataset": dataset, "name": name}))
        if dry_run:
            preview = client.jobs.preview(body)
            print_json(preview.to_dict()) if json else _print_preview(preview)
            return
        job = client.submit(body)
        for warning in job.warnings:
            typer.echo(f"warning: {warning}", err=True)
        if watch:
            typer.echo(f"submitted {job.id}", err=True)
            watch_job(client, job, timeout=timeout, as_json=json)
        else:
            _print_created(job, as_json=json)


train.__doc__ = f"{train.__doc__}\n\n{EXIT_CODES}"


def watch(job: JobId, timeout: Timeout = None, *, json: Json = False, url: Url = None, key: Key = None) -> None:
    """Watch a job to its end. Ctrl-C leaves it running."""
    with service(url, key, about=f"job {job}") as client:
        watch_job(client, client.jobs.get(job), timeout=timeout, as_json=json)


watch.__doc__ = f"{watch.__doc__}\n\n{EXIT_CODES}"


def _read(source: str | None) -> dict[str, Any]:
    try:
        return read_spec(source)
    except SpecUnreadable as error:
        fail(str(error), code=USAGE)
    except OSError as error:
        fail(f"{source} cannot be read", why=error.strerror or str(error), code=USAGE)


def _suggested(client: Client, job: str, fit: int | None, url: str | None) -> dict[str, Any]:
    """Make the spec of a comparison of what is suggested for a job's fit."""
    with told(url, about=f"job {job}"), fit_of(client, job, fit):
        count = 1 if fit is not None else client.jobs.get(job).num_fits
        if count != 1:
            why = "it has no fit yet" if count == 0 else f"it has {count} fits"
            fail(f"job {job} has not one fit", why=why, do="say by --fit NUMBER which one is meant", code=USAGE)
        return client.jobs.what_helps(job, fit=fit)


def _body(known: dict[str, Any], settings: list[str], given: dict[str, str | None]) -> tuple[dict[str, Any], list[Names]]:
    """Let the spec's fields give way to --dataset and --name, and these to --set; give the objects too that --set needed."""
    made: list[Names] = []
    try:
        body = with_settings(known | {name: value for name, value in given.items() if value is not None}, settings, made)
    except SpecUnreadable as error:
        fail(str(error), code=USAGE)
    if not body:
        fail("there is nothing to train", do="name a spec's file, or --dataset digits", code=USAGE)
    return body, made


def _print_created(job: Job, *, as_json: bool) -> None:
    if as_json:
        print_json(job.to_dict())
    else:
        typer.echo(job.id)


def _print_preview(preview: Record) -> None:
    """Print layers, fits and warnings of what would be a job."""
    layers = [(layer.name, layer.kind, " x ".join(map(str, layer.output_shape)), layer.num_parameters) for layer in preview.layers]
    print_table(("layer", "kind", "output", "parameters"), layers, title=f"network: {preview.num_parameters} parameters")
    typer.echo()
    parts = ("train", "val", "test")
    fits = [
        (fit.number, fit.label, *(fit.num_rows.get(part) for part in parts), fit.steps_per_epoch, fit.steps_planned) for fit in preview.fits
    ]
    print_table(("fit", "label", *parts, "steps per epoch", "steps"), fits, title=f"fits: {preview.num_fits} at most, first round")
    if preview["estimate"] is not None:
        workers = preview.estimate.workers
        typer.echo(f"\nabout {shown_seconds(preview.estimate.seconds)} with {workers} worker{'' if workers == 1 else 's'}")
    for warning in preview.warnings:
        typer.echo(f"warning: {warning}")


def show_job(job: Job) -> None:
    """Print what a job is, for people."""
    facts = {
        "id": job.id,
        "name": job.name,
        "status": job.status,
        "phase": job.phase,
        "progress": f"{job.progress:.0%}",
        "dataset": job.dataset,
        "plan": job.plan,
        "fits": ", ".join(f"{count} {status}" for status, count in job["fit_counts"].items() if count),
        "created": job["created_at"],
        "trained for": shown_seconds(job["running_seconds"]),
        "conclusion": (job["result"] or {}).get("sentence"),
        "failure": None if job["failure"] is None else f"{job['failure']['kind']}: {job['failure']['detail']}",
        "continues": job["continues"],
    }
    print_table(("field", "value"), [(name, value) for name, value in facts.items() if value])
    for warning in job.warnings:
        typer.echo(f"warning: {warning}")
