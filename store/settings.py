"""Where facts and artifacts are kept. Read from the environment, prefix `HOLDOUT_`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class StoreSettings(BaseSettings):
    """Settings that every process of the service shares. URLs may hold passwords: they are kept out of `repr`."""

    model_config = SettingsConfigDict(env_prefix="HOLDOUT_", frozen=True)

    home: Path = Field(Path(".holdout"), description="Folder of the embedded database, queue, logs and artifacts.")
    database_url: str = Field("", repr=False, description="SQLAlchemy URL; empty is SQLite in `home`.")
    artifacts_url: str = Field("", repr=False, description="fsspec URL of weights and other files; empty is a folder in `home`.")
    access: Literal["auto", "keys", "open"] = Field(
        "auto", description="Who is let in. auto: keys are required once one was made; keys: always; open: never, and everybody sees all."
    )
    lease_seconds: float = Field(15.0, gt=0, description="How long a silent worker keeps what it claimed.")

    @model_validator(mode="after")
    def _fill_in(self) -> Self:
        home = self.home.absolute()
        filled = {
            "home": home,
            "database_url": self.database_url or f"sqlite:///{home / 'holdout.db'}",
            "artifacts_url": self.artifacts_url or f"file://{home / 'artifacts'}",
        }
        for name, value in filled.items():
            object.__setattr__(self, name, value)
        return self
