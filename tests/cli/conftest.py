"""Commands run against the running service."""

from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli import main
from cli.service import Service


@pytest.fixture
def holdout(service: Service) -> Any:
    """Run a command against the running service; it must end as it is told to."""

    def run(*arguments: str | Path, code: int = 0, text: str | None = None, **environment: str) -> Result:
        done = CliRunner().invoke(main.app, [str(one) for one in arguments], input=text, env={"HOLDOUT_URL": service.url, **environment})
        assert done.exit_code == code, (arguments, done.stdout, done.stderr)
        assert "\x1b" not in done.output
        return done

    return run
