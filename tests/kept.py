"""Jobs with kept models, written as a worker leaves them: networks of drawn weights, each with a preparation of its own."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sqlalchemy import insert

from api.kept import KeptModel, KeptModels
from data.dataset import Array, Dataset
from data.preprocessing.build import learn, prepare_rows
from jobs.resolve import resolve
from jobs.spec import JobSpec
from jobs.states import FitStatus, JobStatus, ShardStatus
from models.build import build
from store.artifacts import Artifacts
from store.datasets import Datasets
from store.engine import Database
from store.fits import list_fits
from store.tables import FitRow, JobRow, ShardRow
from training.export import save_safetensors
from training.weights import Weights

_FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6}


@dataclass(frozen=True)
class KeptJob:
    """A stored job and what it was made of."""

    id: str
    dataset: Dataset
    members: dict[int, KeptModel]

    def outputs(self, rows: Array) -> Array:
        """Give what each member says of the dataset's rows of these numbers, [M, n, K] or [M, n, 1]."""
        answers = [model.outputs(prepare_rows(model.preparation, self.dataset, rows, np.float32)) for model in self.members.values()]
        return np.array([one.reshape(len(rows), -1) for one in answers])

    def raw(self, rows: Array) -> list[Any]:
        """Give these rows as a client has them."""
        raw = self.dataset.x[rows]
        if self.dataset.info.kind != "table":
            return raw.tolist()  # type: ignore[no-any-return]
        columns = self.dataset.info.columns or ()
        return [
            {
                column.name: None if np.isnan(value) else column.categories[int(value)] if column.categories else value
                for column, value in zip(columns, row, strict=True)
            }
            for row in raw.tolist()
        ]


def a_kept_job(
    db: Database,
    artifacts: Artifacts,
    fields: Mapping[str, Any],
    draws: Sequence[Array | None],
    *,
    result: Mapping[str, Any] | None,
    status: JobStatus = JobStatus.SUCCEEDED,
    job_id: str = "job_kept",
) -> KeptJob:
    """Store a job of one fit for each of `draws`: the rows that its preparation is learned from, or None for a fit that kept nothing."""
    datasets = Datasets(db, artifacts)
    spec = resolve(JobSpec.model_validate({"seed": 0, **fields}), source=datasets).spec
    dataset = datasets.load(spec.dataset)
    urls, parameters = [], 0
    for number, rows in enumerate(draws, start=1):
        if rows is None:
            urls.append(None)
            continue
        preparation = learn(spec.preprocessing, dataset, rows)
        weights = _weights(spec, preparation.input_shape, dataset.info.num_outputs, number)
        parameters = sum(values.size for values in weights.values())
        metadata = {
            "job": job_id,
            "fit": str(number),
            "epoch": str(number),
            "network": spec.network.model_dump_json(),
            "preparation": preparation.model_dump_json(),
        }
        urls.append(artifacts.write(f"jobs/{job_id}/fit-{number}.safetensors", save_safetensors(weights, metadata)))
    _insert(db, spec, job_id, urls, parameters, status, result)
    models = KeptModels(artifacts)
    return KeptJob(job_id, dataset, {fit.number: models.open(job_id, fit) for fit in list_fits(db, job_id) if fit.weights_url is not None})


def _weights(spec: JobSpec, shape: tuple[int, ...], outputs: int, seed: int) -> dict[str, np.ndarray]:
    network = build(spec.network, shape, outputs)
    weights = Weights.drawn(network, [spec.network], [seed], torch.float32, torch.device("cpu"))
    return {name: values + np.float32(0.1) for name, values in weights.arrays(0).items()}


def _insert(
    db: Database,
    spec: JobSpec,
    job_id: str,
    urls: Sequence[str | None],
    num_parameters: int,
    status: JobStatus,
    result: Mapping[str, Any] | None,
) -> None:
    now = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    evaluation = {"train": {"loss": _FIGURE, "rows": 9}, "val": {"loss": _FIGURE, "rows": 9}, "test": None, "kept_epoch": 1}
    with db.write() as connection:
        connection.execute(
            insert(JobRow).values(
                id=job_id,
                status=status,
                plan=spec.plan.name,
                dataset=spec.dataset,
                device="cpu",
                spec=spec.model_dump(mode="json"),
                warnings=[],
                job_metadata={},
                steps_planned=1,
                created_at=now,
                queued_at=now,
                result=None if result is None else dict(result),
                environment={"torch": "2"},
            )
        )
        shard = {"id": f"shard_{job_id}", "job_id": job_id, "round": 0, "status": ShardStatus.DONE}
        connection.execute(insert(ShardRow).values(**shard))
        for number, url in enumerate(urls, start=1):
            connection.execute(
                insert(FitRow).values(
                    job_id=job_id,
                    number=number,
                    shard_id=shard["id"],
                    label=f"member {number}",
                    overrides={},
                    seed=number,
                    row_hash="0",
                    num_rows={"train": 9, "val": 9, "test": 0},
                    num_parameters=num_parameters,
                    status=FitStatus.DIVERGED if url is None else FitStatus.FINISHED,
                    steps_planned=1,
                    kept_epoch=number,
                    evaluation=None if url is None else evaluation,
                    weights_url=url,
                )
            )
