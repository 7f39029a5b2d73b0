"""`holdout keys`. What it does is in `cli/keys.py`, which is imported when it is needed: commands that use a service need no database."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke the API keys of HOLDOUT_DATABASE_URL, or of the home's database.")
Home = Annotated[Path, typer.Option(envvar="HOLDOUT_HOME", help="Data folder, where HOLDOUT_DATABASE_URL names no database.")]


@app.command()
def create(
    owner: Annotated[str, typer.Option(help="Whose jobs and datasets the key sees. `local` sees what was made without keys.")],
    label: Annotated[str | None, typer.Option(help="What the key is for.")] = None,
    home: Home = Path(".holdout"),
) -> None:
    """Make a key and print it: it cannot be read again. From the first key on, the API asks for one (HOLDOUT_ACCESS=auto)."""
    from cli import keys  # noqa: PLC0415  the database's libraries take a second

    keys.create(owner, label, home)


@app.command(name="list")
def show(home: Home = Path(".holdout")) -> None:
    """List all keys, those revoked too."""
    from cli import keys  # noqa: PLC0415  as above

    keys.show(home)


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `holdout keys list` shows it.")], home: Home = Path(".holdout")
) -> None:
    """Revoke a key: within 2 s no API process takes it. Revoking the last one opens no door."""
    from cli import keys  # noqa: PLC0415  as above

    keys.revoke(key_id, home)
