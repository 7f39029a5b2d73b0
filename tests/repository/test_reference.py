"""docs/reference.md is what the OpenAPI document says, and its catalogue has every code."""

import runpy
from pathlib import Path
from typing import Any, get_args

import pytest

from api.views.jobs import FailureView
from jobs.states import FailureKind

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.syspath_prepend(str(DOCS))
        return runpy.run_path(str(DOCS / "reference.py"))


def test_the_reference_says_what_the_document_says(script: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDOUT_ACCESS", "keys")  # whatever the environment says
    assert (DOCS / "reference.md").read_text() == script["page"](), "write it again: make reference"


def test_the_catalogue_says_what_to_do_about_every_code_that_is_answered_and_no_other(script: dict[str, Any]) -> None:
    of_the_framework = {"bad_request", "method_not_allowed"}  # named after the status, by api/errors.py
    assert script["CODES"].keys() - script["answered"]() == of_the_framework
    assert all(one.when.endswith(".") and one.todo.endswith(".") for one in script["CODES"].values())


def test_the_catalogue_has_every_kind_of_failure(script: dict[str, Any]) -> None:
    kinds = {kind.value for kind in FailureKind}
    assert script["FAILURES"].keys() == kinds == set(get_args(FailureView.model_fields["kind"].annotation))
