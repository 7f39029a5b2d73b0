"""Which of a job's fits answer: the one that is asked for, or what the job concluded with."""

from dataclasses import dataclass

from api.errors import ProblemError
from jobs.plans.results import ModelOf
from store.engine import Database
from store.errors import FitNotFound
from store.fits import FitState, list_fits
from store.jobs import JobState, get_job

_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """A job and the fits that answer for it: one, or members that vote by `model`."""

    job: JobState
    fits: tuple[FitState, ...]
    model: ModelOf

    @property
    def is_ensemble(self) -> bool:
        """Tell several networks from one."""
        return len(self.fits) > 1


def chosen(db: Database, job_id: str, number: int | None) -> Chosen:
    """Find the fit of this number; without a number, what the job concluded with, or its only fit.

    Raises:
        NotFound: no such job, or it has no fit of this number.
        ProblemError: 409 `no_single_model`, it has several fits and did not conclude with a model.
    """
    job, fits = get_job(db, job_id), {fit.number: fit for fit in list_fits(db, job_id)}
    model = ModelOf(fits=[number]) if number is not None else _concluded(job, sorted(fits))
    missing = [one for one in model.fits if one not in fits]
    if missing:
        raise FitNotFound(job_id, missing[0])
    return Chosen(job=job, fits=tuple(fits[one] for one in model.fits), model=model)


def _concluded(job: JobState, numbers: list[int]) -> ModelOf:
    result = job.result or {}
    if result.get("model") is not None:
        return ModelOf.model_validate(result["model"])
    if "model" not in result and isinstance(result.get("fit"), int):  # results of one fit, as they were before plans had several
        return ModelOf(fits=[result["fit"]])
    if len(numbers) == 1:
        return ModelOf(fits=numbers)
    why = f"is {job.status.value} and has no result" if job.result is None else f"concludes with no single model: its plan is {job.plan}"
    shown = ", ".join(map(str, numbers[:_NAMED])) + (f", ... {numbers[-1]}" if len(numbers) > _NAMED else "")
    raise ProblemError(409, "no_single_model", f"job {job.id} {why}; name one of its fits by ?fit=n: {shown or 'it has none yet'}")
