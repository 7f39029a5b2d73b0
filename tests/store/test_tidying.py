"""Files in folders of ended jobs that no row names."""

from dataclasses import replace
from pathlib import Path

from jobs.states import JobStatus
from store.artifacts import Artifacts
from store.commits import Finish, FitCheckpoint, commit
from store.engine import Database
from store.tidying import tidy
from tests.factories import LEASE, a_claim, a_job, a_record, an_end

_AT_ONCE = -86_400.0


def test_what_a_worker_that_died_left_in_a_jobs_folder_goes_once_the_job_has_ended(db: Database, tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path}/files")
    created, other = a_job(db), a_job(db)
    folder = f"jobs/{created.job.id}"
    weights = artifacts.write(f"{folder}/fit-1.safetensors", b"weights")
    left = artifacts.write(f"{folder}/fit-1-epoch-3-attempt-1.checkpoint", b"of a worker that died")
    unfinished = tmp_path / "files" / folder / f"fit-1.safetensors.{'0' * 32}"
    unfinished.write_bytes(b"wei")
    theirs = artifacts.write(f"jobs/{other.job.id}/fit-1-epoch-3-attempt-1.checkpoint", b"of a job at work")
    held = a_claim(db, created)
    assert tidy(db, artifacts, after_seconds=_AT_ONCE) == []
    finish = Finish(status=JobStatus.SUCCEEDED, result={"plan": "fit"})
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], outcomes=[replace(an_end(), weights_url=weights)], finish=finish)
    assert tidy(db, artifacts) == []  # somebody may still be at work there
    assert sorted(tidy(db, artifacts, after_seconds=_AT_ONCE)) == sorted([left, f"{folder}/{unfinished.name}"])
    assert [path.name for path in (tmp_path / "files" / folder).iterdir()] == ["fit-1.safetensors"]
    assert artifacts.read(theirs) == b"of a job at work"
    artifacts.write(left, b"again")
    assert tidy(db, artifacts, after_seconds=_AT_ONCE) == []  # each job is looked at once


def test_a_checkpoint_that_a_row_names_stays(db: Database, tmp_path: Path) -> None:
    artifacts = Artifacts(f"file://{tmp_path}/files")
    created = a_job(db)
    held = a_claim(db, created)
    url = artifacts.write(f"jobs/{created.job.id}/fit-1-epoch-0-attempt-1.checkpoint", b"where it stands")
    kept = FitCheckpoint(number=1, epoch=0, url=url)
    commit(db, held, lease_seconds=LEASE, epochs=[a_record(0)], checkpoints=[kept], finish=Finish(status=JobStatus.CANCELLED))
    assert tidy(db, artifacts, after_seconds=_AT_ONCE) == []
    assert artifacts.read(url) == b"where it stands"


def test_a_job_without_files_is_no_error(db: Database, tmp_path: Path) -> None:
    created = a_job(db)
    commit(db, a_claim(db, created), lease_seconds=LEASE, finish=Finish(status=JobStatus.CANCELLED))
    assert tidy(db, Artifacts(f"file://{tmp_path}/files"), after_seconds=_AT_ONCE) == []
