"""`holdout compare`: only what jobs concluded with is ranked, and every job stays legible."""

import json
import re
from typing import Any

import pytest

import cli.comparing
from cli.showing import print_beside
from holdout import Job
from tests.cli.test_remote_commands import SMALL

IDS = [f"job_01m8dc6am1t4derzxfqr09vc{i}y" for i in range(5)]
FIGURES = {"val_loss": {"value": 0.5, "low": 0.41, "high": 0.6}, "generalization_gap": {"value": 0.1, "low": None, "high": None}}


def _job(number: int, value: float | None, dataset: str = "iris", status: str = "succeeded") -> Job:
    figures = {**FIGURES, "val_loss": {"value": value, "low": 0.41, "high": 0.6}}
    outcome = None if value is None else {"of": "its fit", "val_loss": value, "generalization_gap": 0.1, "figures": figures}
    return Job({"id": IDS[number], "name": None, "status": status, "dataset": dataset, "outcome": outcome, "running_seconds": 1.0})


def _of(*losses: float) -> dict[str, list[Any]]:
    return {
        "best_val_loss": list(losses),
        "best_epoch": [3] * len(losses),
        "gap_at_best": list(losses),
        "last_gap": list(losses),
        "num_parameters": [7] * len(losses),
    }


def _row(rows: list[tuple[Any, ...]], label: str) -> list[str]:
    [found] = [row[1:] for row in rows if row[0] == label]
    return list(found)


def test_losses_and_gaps_have_their_intervals(holdout: Any) -> None:
    jobs = [json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout) for _ in range(2)]
    compared = holdout("compare", *(job["id"] for job in jobs)).stdout
    for label, name in (("validation loss", "val_loss"), ("gap", "generalization_gap")):
        figure = jobs[0]["outcome"]["figures"][name]
        assert figure["low"] is not None
        written = re.escape(f"{figure['value']:.4g} [{figure['low']:.4g}, {figure['high']:.4g}]")
        assert re.search(rf"^{label} +{written}", compared, re.MULTILINE)


def test_only_jobs_that_concluded_are_ranked() -> None:
    jobs = [_job(0, 0.5), _job(1, 0.7), _job(2, None, status="cancelled"), _job(3, None, status="queued"), _job(4, None, status="running")]
    rows = cli.comparing._rows(jobs, [_of(0.5), _of(0.7), _of(0.01), _of(), _of(0.2, 0.3)])
    assert _row(rows, "validation loss") == ["0.5 [0.41, 0.6] (lowest)", "0.7 [0.41, 0.6]", "0.01 so far", "", ""]
    assert _row(rows, "gap") == ["0.1", "0.1", "0.01 so far", "", ""]
    assert _row(rows, "best epoch") == ["3", "3", "3 so far", "", "3 so far"]


@pytest.mark.parametrize("jobs", [[_job(0, 0.5), _job(1, None)], [_job(0, 0.5), _job(1, 0.4, dataset="digits")]])
def test_a_job_that_stands_alone_is_not_lowest(jobs: list[Job]) -> None:
    assert "lowest" not in str(cli.comparing._rows(jobs, [_of(0.5), _of(0.4)]))


def test_jobs_that_do_not_fit_beside_one_another_are_printed_in_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("id", *IDS), ("validation loss of its fits, mean ± sd", *"abcde"), ("/name", *("x" * 70 for _ in IDS))]
    for width, per_block in ((80, 2), (120, 3), (50, 1), (1000, 5)):
        monkeypatch.setenv("COLUMNS", str(width))
        print_beside(["n" * 100, *IDS[1:]], rows)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        assert [re.findall(r"job_\w+", line) for line in lines if line.startswith("id ")] == [
            IDS[first : first + per_block] for first in range(0, 5, per_block)
        ]
        assert len([line for line in lines if not line.strip()]) == -(-5 // per_block) - 1


def test_objects_of_a_list_are_called_by_their_names() -> None:
    variants = [{"label": "wide", "set": {"/network/hidden_units": [32]}}, {"label": "narrow", "set": {}}]
    blocks = [{"channels": 16, "kernel": 3}, {"channels": 32, "kernel": 3}]
    assert cli.comparing._cells([variants, None, blocks]) == ["wide, narrow", "none", "channels 16 kernel 3, channels 32 kernel 3"]


@pytest.mark.parametrize(
    "values",
    [
        [[{"label": "a", "set": {"/x": 1}}], [{"label": "a", "set": {"/x": 2}}]],
        [[1] * 99, [1] * 100],
        [0.100001, 0.1000011],
    ],
)
def test_what_differs_looks_different(values: list[Any]) -> None:
    assert cli.comparing._cells(values) == [json.dumps(value) for value in values]
