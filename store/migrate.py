"""Bring a database to the current schema. Tables are made by migrations only."""

from enum import Enum, auto
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

import migrations


class Schema(Enum):
    """How a database's schema and this code go together."""

    CURRENT = auto()
    BEHIND = auto()  # not migrated, or not far enough: this code cannot work with it
    AHEAD = auto()  # migrated by a newer release: neighbouring releases work beside each other while they are exchanged


def alembic_config(url: str) -> Config:
    """Configure Alembic for `url` with the migrations of this installation."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """Run every migration that has not been run. Several processes may call it at once: one does the work."""
    command.upgrade(alembic_config(url), "head")


def downgrade(url: str, revision: str) -> None:
    """Take migrations back until `revision` is the last one."""
    command.downgrade(alembic_config(url), revision)


@cache
def revisions() -> tuple[str, ...]:
    """Name the revisions that this code knows, the first one first."""
    scripts = ScriptDirectory.from_config(alembic_config(""))
    return tuple(reversed([script.revision for script in scripts.walk_revisions()]))


def schema_of(connection: Connection) -> Schema:
    """Compare a database's revision with this code's."""
    if not inspect(connection).has_table("alembic_version"):
        return Schema.BEHIND
    found = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found == revisions()[-1]:
        return Schema.CURRENT
    return Schema.BEHIND if found is None or found in revisions() else Schema.AHEAD
