"""Where facts and artifacts are kept. Read from the environment, prefix `HOLDOUT_`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(lambda given: given.upper() if isinstance(given, str) else given)
]


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
    log_level: LogLevel = Field("INFO", description="Least level of what is logged.")

    max_queue_seconds: float = Field(7 * 86_400.0, gt=0, description="How long a job may wait in the queue before it fails.")
    max_run_seconds: float | None = Field(None, gt=0, description="Longest run time of any job, whatever its spec says.")

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
