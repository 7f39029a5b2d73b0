"""From a job to the picture of it."""

from collections.abc import Mapping
from typing import Any

from api.dependencies import Resources
from api.pictures.report import Report, picture
from api.pictures.style import Format, Heading, Units
from jobs.plans.conclusions import readable
from jobs.pointers import is_within
from jobs.spec import JobSpec
from store.datasets import PREFIX
from store.epochs import curves
from store.jobs import JobState, get_job


def drawn(job_id: str, resources: Resources, kind: Format) -> tuple[int, bytes]:
    """Draw a job as it stands; give the version that the picture shows at least.

    Raises:
        NotFound: no job has this id.
    """
    job = get_job(resources.db, job_id)  # read first, its version is never newer than what is drawn
    info = resources.datasets.info(job.dataset)
    report = Report(
        heading=_heading(job, info.title if job.dataset.startswith(PREFIX) else job.dataset),
        plan=JobSpec.model_validate(job.spec).plan,
        result=readable(job.result),
        curves=curves(resources.db, job_id).fits,
        units=Units(is_classes=info.task == "classification", unit=info.target_unit),
    )
    return job.version, picture(report, kind)


def _technique(spec: Mapping[str, Any], part: str) -> str:
    """Name the network or the optimizer, as far as the plan does not vary it."""
    plan = spec["plan"]
    pointers = [pointer for one in plan.get("variants") or () for pointer in one["set"]]
    for space in (plan.get("space"), (plan.get("search") or {}).get("space"), plan.get("axis")):
        pointers += space or {}
    if f"/{part}" in pointers or f"/{part}/name" in pointers:
        return f"{part} varied"
    name = str(spec[part]["name"])
    return f"{name}, varied" if any(is_within(pointer, f"/{part}") for pointer in pointers) else name


def _heading(job: JobState, data: str) -> Heading:
    parts = [data, _technique(job.spec, "network"), _technique(job.spec, "optimizer")]
    if job.plan != "fit":
        parts.insert(0, job.plan.replace("_", " "))
    if job.num_fits > 1:
        parts.append(f"{job.num_fits} fits")
    parts.append(job.status.value)
    trouble = "" if job.failure is None else f"failed: {job.failure['detail']}"
    sentence = str((job.result or {}).get("sentence", ""))
    return Heading(title=job.name or job.id, subtitle="  \u00b7  ".join(parts), sentence=sentence, trouble=trouble)
