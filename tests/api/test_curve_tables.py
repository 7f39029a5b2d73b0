"""Curves as Parquet: typed, whole, and told apart from other representations."""

import io
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.commits import commit
from store.engine import Database
from tests.api.conftest import StrictClient
from tests.factories import LEASE, a_claim, a_job, a_record, a_succeeded_job

PARQUET = "application/vnd.apache.parquet"
ENDS = ["objective", "learning_rate", "seconds"]
CLASSES = ["fit", "label", "epoch", "train_loss", "val_loss", "generalization_gap", "train_accuracy", "val_accuracy", "accuracy_gap", *ENDS]
NUMBERS = ["fit", "label", "epoch", "train_loss", "val_loss", "generalization_gap", "train_rmse", "val_rmse", "train_r2", "val_r2", *ENDS]


def _table(content: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(content))


def test_parquet_holds_what_json_holds_bit_for_bit(client: StrictClient, db: Database) -> None:
    job_id = a_succeeded_job(db)
    [curve] = client.get(f"/v1/jobs/{job_id}/curves").json()["fits"]
    asked: dict[str, Any] = {"headers": {"Accept": PARQUET}}
    for answer in (client.get(f"/v1/jobs/{job_id}/curves.parquet"), client.get(f"/v1/jobs/{job_id}/curves", **asked)):
        assert answer.headers["content-type"] == PARQUET
        assert answer.headers["content-disposition"] == f'attachment; filename="{job_id}.parquet"'
        table = _table(answer.content)
        for name in table.column_names[3:]:
            assert table[name].to_pylist() == curve.get(name, [None] * len(curve["epoch"])), name
        assert table["epoch"].to_pylist() == curve["epoch"]
        assert set(table["fit"].to_pylist()) == {1}
        assert set(table["label"].to_pylist()) == {curve["label"]}


def test_parquet_tells_the_job_its_version_and_its_spec(client: StrictClient, db: Database) -> None:
    job = client.get(f"/v1/jobs/{a_succeeded_job(db)}").json()
    facts = _table(client.get(f"/v1/jobs/{job['id']}/curves.parquet").content).schema.metadata
    assert (facts[b"holdout.job"].decode(), facts[b"holdout.version"].decode()) == (job["id"], str(job["version"]))
    assert json.loads(facts[b"holdout.spec"]) == job["spec"]


@pytest.mark.parametrize(("dataset", "columns"), [("digits", CLASSES), ("diabetes", NUMBERS)])
def test_the_columns_are_those_of_the_task_whatever_rows_there_are(
    client: StrictClient, db: Database, dataset: str, columns: list[str]
) -> None:
    table = _table(client.get(f"/v1/jobs/{a_job(db, dataset=dataset).job.id}/curves.parquet").content)
    assert table.column_names == columns
    assert table.num_rows == 0
    assert [str(field.type) for field in table.schema] == ["int32", "string", "int32", *["double"] * (len(columns) - 3)]


def test_new_rows_alone_have_all_columns(client: StrictClient, db: Database) -> None:
    created = a_job(db)
    held = a_claim(db, created)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)])
    url = f"/v1/jobs/{created.job.id}"
    version = client.get(url).json()["version"]
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(1)])
    later = _table(client.get(f"{url}/curves.parquet?after_version={version}&fits=1").content)
    assert (later["epoch"].to_pylist(), later.column_names) == ([1], CLASSES)


def test_parquet_csv_and_json_have_etags_of_their_own(client: StrictClient, db: Database) -> None:
    url = f"/v1/jobs/{a_succeeded_job(db)}"
    tags = {name: client.get(f"{url}/{name}").headers["etag"] for name in ("curves", "curves.csv", "curves.parquet")}
    assert len(set(tags.values())) == 3
    for name, tag in tags.items():
        assert client.get(f"{url}/curves.parquet", headers={"If-None-Match": tag}).status_code == (304 if name == "curves.parquet" else 200)


def test_pandas_reads_numbers_as_numbers(client: StrictClient, db: Database) -> None:
    frame = _table(client.get(f"/v1/jobs/{a_succeeded_job(db)}/curves.parquet").content).to_pandas()
    assert frame["val_loss"].dtype == np.float64
    assert frame.set_index(["fit", "epoch"]).index.is_unique
