"""Bring a database to the current schema. Tables are made by migrations only."""

from pathlib import Path

from alembic import command
from alembic.config import Config

import migrations


def alembic_config(url: str) -> Config:
    """Configure Alembic for `url` with the migrations of this installation."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["url"] = url
    return config


def upgrade(url: str) -> None:
    """Run every migration that has not been run. Several processes may call it at once: one does the work."""
    command.upgrade(alembic_config(url), "head")
