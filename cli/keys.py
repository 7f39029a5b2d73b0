"""`holdout keys`: make, list and revoke keys; and whether the API may be opened to others without any."""

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import structlog
import typer

from store.engine import Database, create_engine, is_there
from store.errors import DatabaseUnavailable, NotFound
from store.keys import ApiKey, create_key, has_keys, list_keys, revoke_key
from store.logs import configure_logs
from store.settings import StoreSettings

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of HOLDOUT_DATABASE_URL, or of the home's database.")
Home = Annotated[Path, typer.Option(envvar="HOLDOUT_HOME", help="Data folder, where HOLDOUT_DATABASE_URL names no database.")]


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose jobs and datasets the key sees. `local` sees what was made without keys.")],
    label: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    home: Home = Path(".holdout"),
) -> None:
    """Make a key and print it: it cannot be read again. From the first key on, the API asks for one (HOLDOUT_ACCESS=auto)."""
    with _keys(home) as database:
        try:
            made, key = create_key(database, owner, label)
        except ValueError as error:
            raise _Refused(str(error)) from error
        _tell("key.create", made)
        typer.echo(key)


@app.command(name="list")
def show(home: Home = Path(".holdout")) -> None:
    """List all keys, those revoked too."""
    with _keys(home) as database:
        for key in list_keys(database):
            until = "valid" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%dT%H:%M:%SZ}"
            typer.echo(f"{key.id}  {key.created_at:%Y-%m-%dT%H:%M:%SZ}  {until}  {key.owner}  {key.label or ''}".rstrip())


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `holdout keys list` shows it.")], home: Home = Path(".holdout")
) -> None:
    """Revoke a key: within 2 s no API process takes it. Revoking the last one opens no door."""
    with _keys(home) as database:
        try:
            revoked = revoke_key(database, key_id)
        except NotFound as error:
            raise _Refused("no key has this id; holdout keys list shows them") from error
        _tell("key.revoke", revoked)
        typer.echo(f"{revoked.id} of {revoked.owner} is revoked")


def why_not(host: str, settings: StoreSettings, *, is_behind_loopback: bool) -> str | None:
    """Say why the API may not listen on an address: others reach it, and nobody would be asked for a key."""
    if settings.access != "auto" or is_behind_loopback or _is_loopback(host):
        return None
    advice = (
        "make one first (holdout keys create --owner NAME), or set HOLDOUT_ACCESS=keys to ask for one always, "
        "or HOLDOUT_ACCESS=open to let everybody do everything"
    )
    try:
        with _database(settings.home) as database:
            return None if has_keys(database) else f"{host} can be reached by others and there is no API key: {advice}"
    except _Refused as refused:
        return f"{host} can be reached by others, and whether there is an API key cannot be told: {refused}"


class _Refused(Exception):
    """What a person should do otherwise, in a sentence."""


@contextlib.contextmanager
def _keys(home: Path) -> Iterator[Database]:
    """Open the database for a command: what is wrong is a sentence and exit code 1."""
    try:
        with _database(home) as database:
            yield database
    except _Refused as refused:
        typer.echo(f"error: {refused}", err=True)
        raise typer.Exit(1) from refused


@contextlib.contextmanager
def _database(home: Path) -> Iterator[Database]:
    configure_logs()
    url = StoreSettings(home=home).database_url
    if not is_there(url):
        raise _Refused(
            f"there is no database in {home} yet: run holdout up or holdout migrate first, or set HOLDOUT_DATABASE_URL or HOLDOUT_HOME"
        )
    database = Database(create_engine(url))
    try:
        yield database
    except DatabaseUnavailable as error:
        raise _Refused(
            f"{error}: HOLDOUT_DATABASE_URL or HOLDOUT_HOME says which one; holdout migrate brings it to the current schema"
        ) from error
    finally:
        database.dispose()


def _tell(action: str, key: ApiKey) -> None:
    structlog.get_logger().info("audit", action=action, owner=key.owner, key=key.id, target=key.id, client="command", outcome="done")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
