"""`holdout predict`: a job's model answers for the rows of a file."""

import contextlib
import csv
import io
import json as json_format
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from cli.files import is_standard, named, read_bytes
from cli.remote import USAGE, JobId, Json, Key, Url, fail, fit_of, print_json, service
from holdout import Client, Record, UnprocessableEntityError

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_NO_TABLES = {
    b"PK\x03\x04": "a ZIP archive, or a workbook",
    b"PAR1": "Parquet",
    b"\x1f\x8b": "compressed by gzip",
    b"\x93NUMPY": "NumPy's format",
}
_SHOWN = 200
_MISSING = ("", "NA", "NaN", "nan", "null", "None")


def predict(
    job: JobId,
    file: Annotated[Path, typer.Argument(help="CSV with the columns' names in its first line, or JSON: a list of rows; - is stdin.")],
    out: Annotated[Path | None, typer.Option("--output", "-o", help="File to write instead of stdout.")] = None,
    fit: Annotated[int | None, typer.Option(min=1, help="Number of a fit, instead of what the job concluded with.")] = None,
    *,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Let a job's model answer for rows of a file. Prints CSV: predictions, and of classes the probabilities."""
    with service(url, key, about=f"job {job}") as client:
        rows, absent = _rows(client, job, file)
        with _absence_told(absent, file), fit_of(client, job, fit):
            answers = _answers(client, job, rows, fit)
        for warning in dict.fromkeys(warning for answer in answers for warning in answer.warnings):
            typer.echo(f"warning: {warning}", err=True)
        is_stdout = out is None or is_standard(out)
        with contextlib.nullcontext(sys.stdout) if out is None or is_stdout else out.open("w", newline="", encoding="utf-8") as target:
            if json:
                _write_json(answers, target)
            else:
                _write_csv(answers, target)
        if not is_stdout:
            typer.echo(f"{out}: predictions for {len(rows)} {'row' if len(rows) == 1 else 'rows'}", err=True)


@contextlib.contextmanager
def _absence_told(absent: Sequence[str], file: Path) -> Iterator[None]:
    """Say of a column that is refused for want of it that it is absent, not that each of its cells is empty."""
    try:
        yield
    except UnprocessableEntityError as error:
        said = " ".join([error.detail, *(f"{one.get('pointer')} {one.get('message')}" for one in error.errors)])
        if not any(name in said for name in absent):
            raise
        fail(f"{named(file)} has no column {', '.join(absent)}", do="add what the model was trained on", code=USAGE)


def _answers(client: Client, job: str, rows: list[Any], fit: int | None) -> list[Record]:
    """Ask for as many rows at once as the service takes."""
    most = int(client.limits().max_prediction_rows) if len(rows) > 1000 else 1000
    return [client.jobs.predict(job, rows[first : first + most], fit=fit) for first in range(0, len(rows), most)]


def _rows(client: Client, job: str, file: Path) -> tuple[list[Any], list[str]]:
    """Read rows, and name the columns that a table of them lacks."""
    content = read_bytes(file)
    if not content.strip():
        fail(f"{named(file)} is empty", code=USAGE)
    for start, what in _NO_TABLES.items():
        if content.startswith(start):
            fail(f"{named(file)} is no table as text", why=f"it is {what}", do="give CSV or JSON", code=USAGE)
    if file.suffix.lower() == ".json" or (is_standard(file) and content.lstrip()[:1] == b"["):
        rows, absent = _from_json(content, named(file)), list[str]()
    else:
        dataset = client.datasets.get(client.jobs.get(job).dataset)
        if dataset["columns"] is None:
            fail(f"{dataset.id} is no table", do="give its rows as JSON: nested lists of its input's shape", code=USAGE)
        rows, absent = _table(dataset, content, named(file))
    if not rows:
        fail("the file has no rows", code=USAGE)
    return rows, absent


def _from_json(content: bytes, name: str) -> list[Any]:
    try:
        found = json_format.loads(content.decode("utf-8-sig"))
    except ValueError as error:
        fail(f"{name} is no JSON", why=str(error), code=USAGE)
    if not isinstance(found, list):
        fail(f"{name} is no list of rows", code=USAGE)
    return found


def _table(dataset: Record, content: bytes, name: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Read a CSV as the dataset was read. Columns that the model does not know are left out, and named."""
    form: dict[str, Any] = ((dataset.get("upload") or {}).get("schema") or {}).get("csv") or {}
    kinds = {column.name: column.kind for column in dataset.columns}
    missing = {word.strip() for word in form.get("missing_values", _MISSING)} | {""}
    encoding = _encoding(form)
    try:
        text = content.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        fail(f"{name} is no text in {encoding}, as the dataset's file was", why=str(error), code=USAGE)
    delimiter = _delimiter(form, text)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restkey="")
    names = list(reader.fieldnames or ())
    if not set(names) & set(kinds):
        read = f"it has {', '.join(map(repr, names))[:_SHOWN]}, read with {_DELIMITERS.get(delimiter, repr(delimiter))} between them"
        fail(f"{name} has none of the columns that the model knows", why=f"{read}; the model's are {', '.join(kinds)}", code=USAGE)
    unknown = [one for one in names if one not in kinds]
    if unknown:
        typer.echo(f"left out: {', '.join(unknown)}", err=True)
    try:
        rows = [{one: _cell(row[one], kinds[one], form.get("decimal") or ".", missing) for one in names if one in kinds} for row in reader]
    except csv.Error as error:
        fail(f"{name} is no CSV", why=f"line {reader.line_num}: {error}", code=USAGE)
    return rows, [one for one in kinds if one not in names]


def _encoding(form: dict[str, Any]) -> str:
    found = str(form.get("encoding") or "utf-8")
    return "utf-8-sig" if found.lower().replace("_", "-") in {"utf-8", "utf8"} else found


def _delimiter(form: dict[str, Any], text: str) -> str:
    if form.get("delimiter"):
        return str(form["delimiter"])
    first = text.partition("\n")[0]
    return max(_DELIMITERS, key=first.count)


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
