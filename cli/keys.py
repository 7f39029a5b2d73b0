"""Make, list and revoke keys; and whether the API may be opened to others without any."""

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path

import structlog
import typer

from store.engine import Database, create_engine, is_there
from store.errors import DatabaseUnavailable, NotFound
from store.keys import ApiKey, create_key, has_keys, list_keys, revoke_key
from store.logs import configure_logs
from store.settings import StoreSettings


def create(owner: str, label: str | None, home: Path) -> None:
    """Make a key and print it."""
    with _keys(home) as database:
        try:
            made, key = create_key(database, owner, label)
        except ValueError as error:
            raise _Refused(str(error)) from error
        _tell("key.create", made)
        typer.echo(key)


def show(home: Path) -> None:
    """List all keys, those revoked too."""
    with _keys(home) as database:
        for key in list_keys(database):
            until = "valid" if key.revoked_at is None else f"revoked {key.revoked_at:%Y-%m-%dT%H:%M:%SZ}"
            typer.echo(f"{key.id}  {key.created_at:%Y-%m-%dT%H:%M:%SZ}  {until}  {key.owner}  {key.label or ''}".rstrip())


def revoke(key_id: str, home: Path) -> None:
    """Revoke a key."""
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
