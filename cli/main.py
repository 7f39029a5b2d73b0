"""The command `holdout`."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import commands, datasets, exporting, jobs, key_commands
from cli.comparing import compare
from cli.endings import Told
from cli.predicting import predict
from cli.reading import curves, model, report
from cli.remote import EXIT_CODES
from cli.training import train, watch

app = typer.Typer(
    cls=Told,
    no_args_is_help=True,
    add_completion=False,
    help="Holdout trains networks and measures how well they generalize.",
    pretty_exceptions_enable=False,
    epilog=EXIT_CODES,
)

Home = Annotated[Path, typer.Option(envvar="HOLDOUT_HOME", help="Data folder: database, queue, weights, logs.")]
Port = Annotated[int, typer.Option(envvar="HOLDOUT_PORT", min=1, max=65535, help="Port on 127.0.0.1.")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
BehindLoopback = Annotated[
    bool, typer.Option("--behind-loopback", help="Only this machine reaches the address, as a container's that is published on loopback.")
]
_SERVICE, _CLIENT = "Run a service", "Use a service"
for _command in (train, watch, curves, compare, predict, model, report, exporting.export):
    app.command(rich_help_panel=_CLIENT)(_command)
app.add_typer(jobs.app, name="jobs", rich_help_panel=_CLIENT)
app.add_typer(datasets.app, name="datasets", rich_help_panel=_CLIENT)
app.add_typer(key_commands.app, name="keys", rich_help_panel=_SERVICE)


@app.command(rich_help_panel=_SERVICE)
def up(home: Home = Path(".holdout"), port: Port = 8000) -> None:
    """Run the whole system here until Ctrl-C: database, queue, worker, sweeper and API."""
    from cli.embedded import serve  # noqa: PLC0415  the embedded extra is not in the images that run the other commands

    sys.exit(serve(home, port))


@app.command(rich_help_panel=_SERVICE)
def demo(home: Home = Path(".holdout"), port: Port = 8000) -> None:
    """Run the whole system, train three real jobs, show them; with a terminal, keep serving until Ctrl-C."""
    from cli.embedded import demonstrate  # noqa: PLC0415  as above

    sys.exit(demonstrate(home, port))


@app.command(rich_help_panel=_SERVICE)
def migrate(
    to: Annotated[
        str | None, typer.Option(help="Take the database back to this revision instead: before an older release is installed.")
    ] = None,
) -> None:
    """Bring the database of HOLDOUT_DATABASE_URL to the current schema."""
    from store.logs import configure_logs  # noqa: PLC0415  the database's libraries take a second, and most commands need none
    from store.migrate import downgrade, revisions, upgrade  # noqa: PLC0415  as above
    from store.settings import StoreSettings  # noqa: PLC0415  as above

    settings = StoreSettings()
    configure_logs(settings.log_level, secrets=(settings.database_url,))
    if to is not None:
        if to not in revisions():
            raise typer.BadParameter(f"this release knows {', '.join(revisions())}", param_hint="--to")
        downgrade(settings.database_url, to)
        typer.echo(f"the database is at revision {to}")
        return
    upgrade(settings.database_url)
    typer.echo("the database is at the current schema")


@app.command(rich_help_panel=_SERVICE)
def api(host: Host = "127.0.0.1", port: Port = 8000, *, behind_loopback: BehindLoopback = False) -> None:
    """Serve the API alone. Where others reach it, it asks for keys: it does not start before there is one."""
    from cli import keys  # noqa: PLC0415  as above
    from store.settings import StoreSettings  # noqa: PLC0415  as above

    reason = keys.why_not(host, StoreSettings(), is_behind_loopback=behind_loopback)
    if reason is not None:
        typer.echo(f"error: {reason}", err=True)
        raise typer.Exit(1)
    _become(*commands.api(host, port))


@app.command(rich_help_panel=_SERVICE)
def worker(*, gpu: Annotated[bool, typer.Option(help="Take GPU jobs too, one at a time.")] = False) -> None:
    """Run a worker: children that train on one thread each."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if gpu:
        _become(*commands.worker("holdout.gpu,holdout.cpu"), "--concurrency", "1")
    _become(*commands.worker())


@app.command(rich_help_panel=_SERVICE)
def sweeper() -> None:
    """Run a sweeper: sends what was not sent, frees what dead workers held."""
    _become(*commands.sweeper())


def _become(*arguments: str) -> None:
    """Replace this process, so that signals reach the one that matters."""
    os.execv(sys.executable, [sys.executable, *arguments])


if __name__ == "__main__":
    app()
