"""Where datasets that Python packages do not carry are found."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class DataSettings(BaseSettings):
    """Read from the environment, prefix `HOLDOUT_`."""

    model_config = SettingsConfigDict(env_prefix="HOLDOUT_")

    fashion_mnist: Path = Path("/usr/share/datasets/fashion-mnist")
    """Folder of the four IDX files; the default is where Debian's package dataset-fashion-mnist puts them."""
