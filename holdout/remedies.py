"""What a fit's diagnosis suggests, as a comparison that is ready to be submitted."""

import copy
from collections.abc import Mapping
from typing import Any

from holdout.errors import NothingToTry
from holdout.operations import Fields, asked, job_read
from holdout.requests import Steps, called

_NAME_LETTERS = 200
"""The most that a job's name may have."""


def what_helps(job_id: str, number: int | None) -> Steps[Fields]:
    """Give the spec of a comparison of what a fit's diagnosis suggests with the fit as it is.

    Raises:
        NotFoundError: no such job, or it has no fit of this number.
        NothingToTry: nothing is suggested.
        ValueError: the job has several fits, or none yet, and `number` is None.
    """
    job = yield from job_read(job_id)
    if number is None and job["num_fits"] != 1:
        raise ValueError(f"job {job_id} has {job['num_fits']} fits: name one by its number, fit=1 and so on")
    fit = yield from asked(called("GET", "jobs", job_id, "fits", str(number or 1)), "overrides", "diagnosis")
    found = fit["diagnosis"]
    if not (found or {}).get("remedies"):
        why = f"is {fit['status']} and has no diagnosis" if found is None else f"is diagnosed as {found['verdict'].replace('_', ' ')}"
        raise NothingToTry(f"nothing is suggested for fit {fit['number']} of job {job_id}: it {why}")
    return {
        **with_overrides(job["spec"], fit["overrides"]),
        "name": f"what helps {job['name'] or job_id}"[:_NAME_LETTERS],
        "plan": {"name": "comparison", "variants": [{"label": "unchanged", "set": {}}, *found["remedies"]]},
    }


def with_overrides(spec: Mapping[str, Any], overrides: Mapping[str, Any]) -> Fields:
    """Give a spec as one of its plan's fits has it: each JSON pointer replaces what is there, and what is before it."""
    found = copy.deepcopy(dict(spec))
    for pointer, value in overrides.items():
        *way, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
        place: Any = found
        for part in way:
            inner = place[_key(place, part)] if isinstance(place, list) else place.get(part)
            if not isinstance(inner, dict | list):
                inner = place[_key(place, part)] = {}
            place = inner
        place[_key(place, last)] = copy.deepcopy(value)
    return found


def _key(place: Any, part: str) -> Any:
    return int(part) if isinstance(place, list) else part
