"""`holdout predict`: a job's model answers for the rows of a file."""

import contextlib
import csv
import json as json_format
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from cli.remote import USAGE, JobId, Json, Key, Url, fail, print_json, service
from holdout import Client, Record

_MISSING = ("", "NA", "NaN", "nan", "null", "None")


def predict(
    job: JobId,
    file: Annotated[Path, typer.Argument(help="CSV with the columns' names in its first line, or JSON: a list of rows.")],
    out: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.")] = None,
    fit: Annotated[int | None, typer.Option(min=1, help="Number of a fit, instead of what the job concluded with.")] = None,
    *,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Let a job's model answer for rows of a file. Prints CSV: predictions, and of classes the probabilities."""
    with service(url, key, about=f"job {job}") as client:
        rows = _rows(client, job, file)
        answers = _answers(client, job, rows, fit)
        for warning in dict.fromkeys(warning for answer in answers for warning in answer.warnings):
            typer.echo(f"warning: {warning}", err=True)
        with contextlib.nullcontext(sys.stdout) if out is None else out.open("w", newline="", encoding="utf-8") as target:
            if json:
                _write_json(answers, target)
            else:
                _write_csv(answers, target)


def _answers(client: Client, job: str, rows: list[Any], fit: int | None) -> list[Record]:
    """Ask for as many rows at once as the service takes."""
    if not rows:
        fail("the file has no rows", code=USAGE)
    most = int(client.limits().max_prediction_rows) if len(rows) > 1000 else 1000
    return [client.jobs.predict(job, rows[first : first + most], fit=fit) for first in range(0, len(rows), most)]


def _rows(client: Client, job: str, file: Path) -> list[Any]:
    if file.suffix.lower() == ".json":
        try:
            found = json_format.loads(file.read_text("utf-8"))
        except ValueError as error:
            fail(f"{file} is no JSON", why=str(error), code=USAGE)
        if not isinstance(found, list):
            fail(f"{file} is no list of rows", code=USAGE)
        return found
    dataset = client.datasets.get(client.jobs.get(job).dataset)
    if dataset["columns"] is None:
        fail(f"{dataset.id} is no table", do="give its rows as JSON: nested lists of its input's shape", code=USAGE)
    return _table(dataset, file)


def _table(dataset: Record, file: Path) -> list[dict[str, Any]]:
    """Read a CSV as the dataset was read. Columns that the model does not know are left out, and named."""
    form: dict[str, Any] = ((dataset.get("upload") or {}).get("schema") or {}).get("csv") or {}
    kinds = {column.name: column.kind for column in dataset.columns}
    missing = {word.strip() for word in form.get("missing_values", _MISSING)} | {""}
    with file.open(newline="", encoding=_encoding(form)) as text:
        reader = csv.DictReader(text, delimiter=_delimiter(form, text), restkey="")
        names = list(reader.fieldnames or ())
        if not set(names) & set(kinds):
            fail(f"{file} has none of the columns that the model knows", why=f"they are {', '.join(kinds)}", code=USAGE)
        unknown = [name for name in names if name not in kinds]
        if unknown:
            typer.echo(f"left out: {', '.join(unknown)}", err=True)
        return [
            {name: _cell(row[name], kinds[name], form.get("decimal") or ".", missing) for name in names if name in kinds} for row in reader
        ]


def _encoding(form: dict[str, Any]) -> str:
    found = str(form.get("encoding") or "utf-8")
    return "utf-8-sig" if found.lower().replace("_", "-") in {"utf-8", "utf8"} else found


def _delimiter(form: dict[str, Any], text: TextIO) -> str:
    if form.get("delimiter"):
        return str(form["delimiter"])
    first = text.readline()
    text.seek(0)
    return max(",;\t|", key=first.count)


def _cell(text: str | None, kind: str, decimal: str, missing: set[str]) -> Any:
    """Read a cell: a number where the column holds numbers; what is none goes as it stands, and the service says so."""
    cell = (text or "").strip()
    if cell in missing:
        return None
    if kind != "number":
        return cell
    try:
        number = float(cell.replace(decimal, ".") if decimal != "." else cell)
    except ValueError:
        return cell
    return number if abs(number) < float("inf") else cell


def _write_json(answers: Sequence[Record], target: TextIO) -> None:
    """Write one answer, whose rows are those of all."""
    whole = answers[0].to_dict()
    for name in ("predictions", "probabilities", "agreement", "spread"):
        if whole.get(name) is not None:
            whole[name] = [one for answer in answers for one in answer[name]]
    if target is sys.stdout:
        print_json(whole)
    else:
        json_format.dump(whole, target, indent=2, ensure_ascii=False)


def _write_csv(answers: Sequence[Record], target: TextIO) -> None:
    labels = [f"probability_{label}" for label in answers[0]["labels"] or ()]
    further = [name for name in ("agreement", "spread") if answers[0].get(name) is not None]
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([f"predicted_{answers[0].target}", *labels, *further])
    for answer in answers:
        writer.writerows(_lines(answer, further))


def _lines(answer: Record, further: Sequence[str]) -> Iterator[list[Any]]:
    for i, prediction in enumerate(answer["predictions"]):
        yield [prediction, *(answer["probabilities"] or [[]] * (i + 1))[i], *(answer[name][i] for name in further)]
