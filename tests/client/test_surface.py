"""What the package is: light to import, the same in both clients, and told by its own words."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import holdout
from holdout import AsyncClient, AsyncJob, Client, Job
from holdout.async_jobs import AsyncJobs
from holdout.datasets import AsyncDatasets, Datasets
from holdout.jobs import Jobs

PAIRS = [(Client, AsyncClient), (Jobs, AsyncJobs), (Datasets, AsyncDatasets), (Job, AsyncJob)]


def test_importing_the_client_loads_nothing_of_the_service(tmp_path: Path) -> None:
    house = {"api", "cli", "data", "jobs", "migrations", "models", "store", "training", "worker"}
    large = {"torch", "fastapi", "starlette", "sqlalchemy", "pandas", "numpy", "pydantic", "celery", "rich", "typer"}
    program = f"import sys, holdout; print(*({house | large} & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_both_clients_have_the_same_surface(pair: tuple[type, type]) -> None:
    sync, awaited = ({name for name in vars(one) if not name.startswith("_")} for one in pair)
    assert sync == awaited
    for name in sync:
        one, other = (inspect.getattr_static(kind, name) for kind in pair)
        if inspect.isfunction(one):
            assert list(inspect.signature(one).parameters.values()) == _plain(other, one), name


def _plain(other: object, one: object) -> list[inspect.Parameter]:
    """Give parameters of an asynchronous method with what differs by its kind taken from its twin."""
    assert inspect.isfunction(other)
    assert inspect.isfunction(one)
    twins = inspect.signature(one).parameters
    found = inspect.signature(other).parameters
    return [
        parameter.replace(annotation=twins[name].annotation) if name == "on_update" and name in twins else parameter
        for name, parameter in found.items()
    ]


def test_every_public_name_says_what_it_is() -> None:
    for name in holdout.__all__:
        assert inspect.getdoc(getattr(holdout, name)), name


def test_every_exception_is_of_one_family() -> None:
    errors = [found for name in holdout.__all__ if inspect.isclass(found := getattr(holdout, name)) and issubclass(found, Exception)]
    assert all(issubclass(found, holdout.HoldoutError) for found in errors)
    assert {"APIError", "JobFailed", "WaitTimeout"} < {found.__name__ for found in errors}


def test_the_reasons_for_sending_again_name_every_post_there_is() -> None:
    text = (Path(holdout.__file__).parent / "retries.py").read_text()
    source = "".join(path.read_text() for path in Path(holdout.__file__).parent.glob("*.py"))
    posts = set(re.findall(r'called\("POST", "(\w+)"', source)) | set(re.findall(r'called\("POST", "jobs", job_id, "(\w+)"', source))
    assert posts == {"jobs", "previews", "extend", "predictions"}
    for word in ("create", "upload", "cancel", "pause", "resume", "previews", "predictions"):
        assert word in text
