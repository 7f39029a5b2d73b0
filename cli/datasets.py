"""`holdout datasets`: list, read, upload and delete datasets."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.files import STANDARD, check_readable, is_standard, read_bytes
from cli.remote import USAGE, DatasetId, Json, Key, Url, fail, print_json, service
from cli.showing import print_table
from cli.spec_files import SpecUnreadable, read_spec, with_settings
from holdout import Record

app = typer.Typer(no_args_is_help=True, help="List, read, upload and delete datasets.")


@app.command(name="list")
def show(*, json: Json = False, url: Url = None, key: Key = None) -> None:
    """List built-in datasets, then uploads, newest first."""
    with service(url, key) as client:
        found = list(client.datasets.list())
    if json:
        print_json([one.to_dict() for one in found])
        return
    rows = [(one.id, one.title, one.kind, one.task, one.num_rows, " x ".join(map(str, one.input_shape)), one.num_classes) for one in found]
    print_table(("id", "title", "kind", "task", "rows", "input", "classes"), rows)


@app.command()
def get(dataset: DatasetId, *, json: Json = False, url: Url = None, key: Key = None) -> None:
    """Show a dataset; of an upload, what was found in it."""
    with service(url, key, about=f"dataset {dataset}") as client:
        found = client.datasets.get(dataset)
        print_json(found.to_dict()) if json else _print_dataset(found)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="CSV, TSV, Parquet, NPZ, or a ZIP or tar of images in class folders; - is stdin.")],
    target: Annotated[str | None, typer.Option(help="Column to be predicted; tables need it.")] = None,
    schema: Annotated[
        str | None, typer.Option(help="File of YAML or JSON with further fields, as docs/uploads.md has them; - is stdin.")
    ] = None,
    file_name: Annotated[str, typer.Option(help="Name of what comes by stdin; its ending says what it is.")] = "stdin.csv",
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=VALUE", help="Set a field of the schema: group=bird. May be repeated.")
    ] = None,
    *,
    json: Json = False,
    url: Url = None,
    key: Key = None,
) -> None:
    """Upload a file and print the id of its dataset. Equal files with an equal schema are one."""
    if is_standard(file) and schema == STANDARD:
        fail("file and schema cannot both come by stdin", do="give one of them as a file", code=USAGE)
    fields = _schema(schema, settings or [], target)
    if not is_standard(file):
        check_readable(file)
    with service(url, key) as client:
        if is_standard(file):
            found = client.datasets.upload(read_bytes(file), fields, file_name=file_name)
        else:
            found = client.datasets.upload(file, fields)
    if json:
        print_json(found.to_dict())
        return
    typer.echo(f"{found.title}: {found.num_rows} rows, {found.task} of {found.target_name}", err=True)
    for warning in found.upload.profile.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(found.id)


@app.command()
def delete(dataset: DatasetId, *, url: Url = None, key: Key = None) -> None:
    """Delete an upload that no job uses."""
    with service(url, key, about=f"dataset {dataset}") as client:
        client.datasets.delete(dataset)
        typer.echo(f"deleted {dataset}", err=True)


def _schema(source: str | None, settings: list[str], target: str | None) -> dict[str, Any]:
    try:
        fields = with_settings(read_spec(source), settings)
    except SpecUnreadable as error:
        fail(str(error), code=USAGE)
    except OSError as error:
        fail(f"{source} cannot be read", why=error.strerror or str(error), code=USAGE)
    return fields if target is None else {**fields, "target": target}


def _print_dataset(dataset: Record) -> None:
    facts = {
        "id": dataset.id,
        "title": dataset.title,
        "kind": dataset.kind,
        "task": dataset.task,
        "rows": dataset.num_rows,
        "input": " x ".join(map(str, dataset.input_shape)),
        "target": dataset.target_name,
        "classes": ", ".join(
            f"{label} ({count})" for label, count in zip(dataset["class_labels"] or (), dataset["class_counts"] or (), strict=True)
        ),
        "licence": dataset.licence,
        "source": dataset.source,
    }
    print_table(("field", "value"), [(name, value) for name, value in facts.items() if value])
    if dataset.get("upload") and dataset["upload"]["profile"]:
        profile = dataset.upload.profile
        typer.echo()
        rows = [(one.name, one.role, one.kind, one.num_missing, one.num_distinct, one.low, one.high) for one in profile.columns]
        print_table(("column", "role", "kind", "missing", "distinct", "low", "high"), rows)
        for warning in profile.warnings:
            typer.echo(f"warning: {warning}")
