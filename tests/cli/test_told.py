"""What commands say of files, fits, columns and pipes, and that no end of theirs is a traceback."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import cli.showing
from cli.comparing import differences
from cli.plotting import plot
from cli.service import Service
from cli.watching import _Lines
from holdout import FitCurve, Job
from tests.cli.test_remote_commands import SMALL

COLUMNS = "sepal length (cm),sepal width (cm),petal length (cm),petal width (cm)"


@pytest.fixture
def job(holdout: Any) -> str:
    return str(json.loads(holdout("train", "--dataset", "iris", *SMALL, "--json").stdout)["id"])


def _process(service: Service, *arguments: str, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cli.main", *arguments]
    environment = {**os.environ, "HOLDOUT_URL": service.url, **environment}
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.parametrize(
    ("settings", "field", "name"),
    [
        (("optimizer.learning_rate=0.01",), "optimizer", "adam"),
        (("/optimizer/learning_rate=0.01",), "optimizer", "adam"),
        (("network.hidden_units=[8,4]",), "network", "mlp"),
        (("optimizer.learning_rate=0.9", "optimizer.name=sgd"), "optimizer", "sgd"),
        (("split.val_fraction=0.2",), "split", "holdout"),
    ],
)
def test_a_setting_is_of_the_technique_that_the_job_would_have(holdout: Any, settings: tuple[str, ...], field: str, name: str) -> None:
    given = [word for one in settings for word in ("--set", one)]
    spec = json.loads(holdout("train", "--dataset", "iris", *given, "--dry-run", "--json").stdout)["spec"]
    assert spec[field]["name"] == name


def test_a_model_goes_into_a_pipe(service: Service, job: str) -> None:
    stdout, stderr = _process(service, "model", job, "-o", "-", "--format", "zip").communicate()
    assert (stdout[:2], stderr) == (b"PK", b"")


def test_what_is_wrong_beside_a_nameless_setting_is_told_whole(holdout: Any) -> None:
    told = holdout("train", "--dataset", "iris", "--set", "optimizer.learning_rate=1", "--set", "sed=1", code=1).stderr
    assert "/sed: unknown field" in told


def test_settings_win_over_options_and_these_over_the_file(holdout: Any, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("dataset: digits\nname: of the file\n")
    given = ("train", tmp_path / "spec.yaml", "--dataset", "iris", "--name", "of the option", "--dry-run", "--json")
    assert json.loads(holdout(*given).stdout)["spec"]["name"] == "of the option"
    spec = json.loads(holdout(*given, "--set", "name=of the setting").stdout)["spec"]
    assert (spec["name"], spec["dataset"]) == ("of the setting", "iris")


@pytest.mark.parametrize("content", ["dataset: caf\xe9".encode("latin-1"), "dataset: iris".encode("utf-16"), b"PK\x03\x04\xff\xfe"])
def test_a_spec_that_is_no_text_is_told(holdout: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "spec.yaml").write_bytes(content)
    assert "no text in UTF-8" in holdout("train", tmp_path / "spec.yaml", code=2).stderr


def test_what_stands_in_the_way_is_named(holdout: Any, job: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (("export", job, "--to", "csv", "--folder"), ("up", "--home")):
        assert f"error: {tmp_path / 'file'} cannot be read or written" in holdout(*arguments, tmp_path / "file", code=1).stderr
    assert "HOLDOUT_ACCESS: " in holdout("keys", "list", code=2, HOLDOUT_ACCESS="odd").stderr
    assert "must be SQLite or PostgreSQL" in holdout("migrate", code=2, HOLDOUT_DATABASE_URL="odd://x").stderr
    assert "that no key has" in holdout("jobs", "list", code=2, HOLDOUT_API_KEY="hk_\xe9").stderr


def test_letters_that_the_output_lacks_are_written_as_numbers(service: Service, holdout: Any) -> None:
    holdout("train", "--dataset", "iris", *SMALL, "--name", "한글", "-d")
    for arguments, found in ((("jobs", "list"), rb"\ud55c\uae00"), (("jobs", "list", "--json"), rb"\ud55c\uae00")):
        stdout, stderr = _process(service, *arguments, PYTHONIOENCODING="ascii").communicate()
        assert stderr == b""
        assert found in stdout
        assert arguments[-1] != "--json" or "한글" in [one["name"] for one in json.loads(stdout)]


def test_a_pipe_whose_reader_has_left_ends_a_command_quietly(service: Service, job: str) -> None:
    for arguments in (
        ("curves", job, "--csv"),
        ("train", "--dataset", "iris", "--dry-run"),
        ("model", job, "-o", "-"),
        ("jobs", "list", "--json"),
    ):
        process = _process(service, *arguments)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        process.wait()
        process.stderr.close()


def test_a_fit_that_is_not_there_is_told_from_a_job_that_is_not(holdout: Any, job: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text("[[5.1, 3.5, 1.4, 0.2]]")
    for arguments in (("curves", job), ("curves", job, "--csv"), ("model", job, "-o", tmp_path), ("predict", job, tmp_path / "rows.json")):
        told = holdout(*arguments, "--fit", "9", code=1).stderr
        assert told.startswith(f"error: job {job} has no fit 9\n  why: it has one fit")
    assert "there is no job job_nope" in holdout("curves", "job_nope", "--fit", "9", code=1).stderr
    assert "there is no job job_nope" in holdout("compare", job, "job_nope", code=1).stderr


def test_stdin_and_stdout_are_files_too(holdout: Any, job: str) -> None:
    assert "predicted_species" in holdout("predict", job, "-", text=f"{COLUMNS}\n5.1,3.5,1.4,0.2\n").stdout
    assert "predicted_species" in holdout("predict", job, "-", "-o", "-", text="[[5.1, 3.5, 1.4, 0.2]]").stdout
    assert holdout("report", job, "-o", "-", "--format", "svg").stdout.startswith("<?xml")
    rows = "".join(f"{i},{i % 7},{i % 2}\n" for i in range(40))
    assert (
        "flowers.csv: 40 rows"
        in holdout("datasets", "upload", "-", "--target", "y", "--file-name", "flowers.csv", text=f"a,b,y\n{rows}").stderr
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "stdin is empty"),
        (f"{COLUMNS}\n", "has no rows"),
        ("sepal length (cm),petal width (cm)\n1,2\n", "has no column sepal width (cm), petal length (cm)"),
        ("a;b\n1;2\n", "it has 'a', 'b', read with semicolons between them"),
        ("PK\x03\x04rest", "a ZIP archive"),
        ("[1", "is no JSON"),
    ],
)
def test_what_is_no_table_of_the_models_is_told_as_it_is(holdout: Any, job: str, text: str, why: str) -> None:
    assert why in holdout("predict", job, "-", code=2, text=text).stderr


def test_predictions_in_a_file_are_announced(holdout: Any, job: str, tmp_path: Path) -> None:
    out = tmp_path / "answers.csv"
    assert f"{out}: predictions for 1 row" in holdout("predict", job, "-", "-o", out, text="[[5.1, 3.5, 1.4, 0.2]]").stderr


def test_the_table_of_a_fit_has_that_fit_alone(holdout: Any) -> None:
    job = json.loads(holdout("train", "--dataset", "iris", *SMALL, "--set", "split={name: k_fold, folds: 2}", "--json").stdout)["id"]
    lines = holdout("curves", job, "--csv", "--fit", "2").stdout.splitlines()
    assert {line.partition(",")[0] for line in lines[1:]} == {"2"}


def test_fields_that_are_absent_or_null_do_not_differ() -> None:
    assert differences([{"a": None, "b": {"c": 1}}, {"b": {"c": 2}}]) == {"/b/c": [1, 2]}


def test_losses_of_different_datasets_have_no_lowest(holdout: Any, job: str) -> None:
    other = json.loads(holdout("train", "--dataset", "digits", *SMALL, "--json").stdout)["id"]
    assert "(lowest)" not in holdout("compare", job, other).stdout


def test_of_a_single_fit_its_end_says_what_to_try(holdout: Any) -> None:
    one = holdout("train", "--dataset", "iris", *SMALL)
    assert re.search(r"^to try: \w+", one.stderr, re.MULTILINE)
    assert "to try" not in holdout("train", "--dataset", "iris", *SMALL, "--set", "split={name: k_fold, folds: 2}").stderr


def test_jobs_beside_one_another_say_which_fits_their_figures_are_of(holdout: Any, job: str) -> None:
    folds = json.loads(
        holdout(
            "train",
            "--dataset",
            "iris",
            *SMALL,
            "--set",
            "split={name: k_fold, folds: 2}",
            "--set",
            "plan={name: fit, refit: true}",
            "--json",
        ).stdout
    )["id"]
    compared = holdout("compare", job, folds).stdout
    assert re.search(r"figures are of +its fit +mean over 2 folds", compared)
    outcome = json.loads(holdout("compare", job, folds, "--json").stdout)["jobs"][1]["outcome"]
    assert len(outcome["fits"]) == 2
    accuracy = outcome["figures"]["val_accuracy"]
    assert re.search(rf"validation accuracy .*{accuracy['value']:.4g} \[{accuracy['low']:.4g}, {accuracy['high']:.4g}\]", compared)


def test_a_constant_and_a_single_epoch_are_drawn_where_they_are() -> None:
    curve = FitCurve(
        {"number": 1, "label": "one", "epoch": [1, 2], "learning_rate": [0.01, 0.01], "train_loss": [0.5, None], "val_loss": [None, None]}
    )
    assert "0.0100┤" in plot(curve, "learning_rate")
    assert "-1.00" not in plot(curve, "learning_rate")
    assert "0.50┤" in plot(curve, "loss")


@pytest.mark.parametrize(
    ("first", "last", "named"),
    [
        (0, 2, "0 1 2"),
        (0, 11, "0 2 4 6 8 10"),
        (1, 29, "5 10 15 20 25"),
        (0, 100, "0 20 40 60 80 100"),
        (7, 7, "7"),
        (400, 1999, "500 1000 1500"),
    ],
)
def test_epochs_are_named_by_whole_numbers(first: int, last: int, named: str) -> None:
    epochs = list(range(first, last + 1))
    curve = FitCurve({"number": 1, "label": "one", "epoch": epochs, "train_loss": [1 / (1 + one) for one in epochs], "val_loss": None})
    assert plot(curve, "loss").splitlines()[-1].split() == named.split()


@pytest.mark.parametrize(("width", "left_out"), [(80, True), (130, False)])
def test_ids_stay_whole_however_narrow_the_terminal(
    width: int, left_out: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.showing, "_PIPED_WIDTH", width)
    identity = "job_01m8dc6am1t4derzxfqr09vc7y"
    row = (identity, "a name that is a good deal longer than others", "succeeded", "100%", "fashion_mnist", "2026-01-31 12:00")
    cli.showing.print_table(("id", "name", "status", "progress", "dataset", "created"), [row], spare=("created", "dataset"))
    printed = capsys.readouterr().out
    assert identity in printed
    assert ("2026-01-31" not in printed) == left_out
    assert max(map(len, printed.splitlines())) <= width


def test_more_jobs_may_be_asked_for_than_there_can_be(holdout: Any, job: str) -> None:
    assert job in holdout("jobs", "list", "--limit", "99999999999999999999").stdout


def test_a_number_that_is_none_is_named_by_its_field(holdout: Any) -> None:
    assert "/seed is inf" in holdout("train", "-", text="dataset: iris\nseed: 1e400\n", code=2).stderr
    assert "--set seed=1e400: this is inf" in holdout("train", "--dataset", "iris", "--set", "seed=1e400", code=2).stderr


def test_jobs_without_a_name_are_listed_as_what_they_are(holdout: Any, job: str) -> None:
    assert any(line.startswith(job) and "fit on iris" in line for line in holdout("jobs", "list").stdout.splitlines())


def test_a_lines_status_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    _Lines().show(Job({"id": "job_1", "status": "failed", "progress": 0.0}), "")
    assert capsys.readouterr().err == "job_1 failed 0%\n"


def test_a_job_of_several_fits_ends_with_their_number(holdout: Any) -> None:
    ended = holdout("train", "--dataset", "iris", *SMALL, "--set", "split={name: k_fold, folds: 3}").stderr
    assert " succeeded 100%  3 fits\n" in ended
