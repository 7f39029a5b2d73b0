"""What fits came to, between the store and their plan."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO

import numpy as np

from data.dataset import Array
from jobs.plans.fits import FitResult
from store.rounds import StoredResult
from worker.patience import PatientFiles


def results_of(stored: Sequence[StoredResult], files: PatientFiles) -> list[FitResult]:
    """Give stored results to a plan; what fits were asked is read when the plan looks."""
    return [
        FitResult(
            number=one.number,
            status=one.status,
            row_hash=one.row_hash,
            seed=one.seed,
            overrides=one.overrides,
            best_epoch=one.best_epoch,
            kept_epoch=one.kept_epoch,
            evaluation=one.evaluation,
            message=one.message,
            failure=one.failure,
            rungs=one.rungs,
            outputs=None if one.outputs_url is None else partial(_read, files, one.outputs_url),
        )
        for one in stored
    ]


def write_outputs(files: PatientFiles, key: str, outputs: Array) -> str:
    """Store what a fit was asked, [m, K] or [m, 1]; give its key."""
    content = BytesIO()
    np.save(content, outputs.astype(np.float64), allow_pickle=False)
    return files.write(key, content.getvalue())


def _read(files: PatientFiles, key: str) -> Array:
    found: Array = np.load(BytesIO(files.read(key)), allow_pickle=False)
    return found
