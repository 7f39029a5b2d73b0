"""Several kept models that answer as one: every member prepares raw rows as its own training rows were, then they vote."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from api.errors import ProblemError
from api.kept import KeptModels
from api.predicting import Row, answer, read_rows
from data.dataset import Array
from data.preprocessing.state import CategoryColumn, GridPreparation, Preparation, TablePreparation, Target
from data.preprocessing.together import Apart, in_common, own_rows, places
from data.uploads.problems import shown
from jobs.plans.results import ModelOf
from jobs.plans.votes import combined
from store.fits import FitState

_VALUES_AT_ONCE = 2**22
"""Outputs of all members held at once: 32 MiB."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Votes:
    """What an ensemble says of n rows.

    `outputs` are [n, K] of classes or [n, 1] of numbers, `named` what each member says: positions of classes [M, n], or
    numbers [M, n]. `epochs` [M] are those whose weights answered.
    """

    target: Target
    outputs: Array
    named: Array
    epochs: tuple[int, ...]
    warnings: list[str]

    @property
    def agreement(self) -> Array | None:
        """Give for each row the share of members that name the class predicted; None for numbers."""
        return None if self.target.labels is None else (self.named == self.outputs.argmax(axis=1)).mean(axis=0)

    @property
    def spread(self) -> Array | None:
        """Give for each row the standard deviation of the members' numbers, with M - 1; None for classes."""
        return self.named.std(axis=0, ddof=1) if self.target.labels is None else None


def voted(models: KeptModels, job_id: str, fits: Sequence[FitState], model: ModelOf, rows: Sequence[Row]) -> Votes:
    """Let members answer for raw rows, one member at a time, and combine their answers.

    Raises:
        ProblemError: 422, a row is not as the training rows were; 409 or 404, a member has no kept model, or reads other rows.
    """
    assert model.vote is not None
    opened = [(member.preparation, member.epoch) for member in models.open_all(job_id, fits)]
    preparations = [preparation for preparation, _ in opened]
    inputs, target = rows_in_common(preparations), preparations[0].target
    raw, warnings = read_rows(inputs, rows)
    width = len(target.labels or (None,))
    outputs = np.empty((len(raw), width))
    named = np.empty((len(fits), len(raw)), dtype=np.int64 if target.labels is not None else np.float64)
    far: Counter[int] = Counter()
    block = max(1, _VALUES_AT_ONCE // (len(fits) * width))
    for start in range(0, len(raw), block):
        part = raw[start : start + block]
        answers = np.empty((len(fits), len(part), width))
        for m, member in enumerate(models.open_all(job_id, fits)):
            found = answer(member, own_rows(inputs, member.preparation.inputs, part), start)
            answers[m] = found.outputs.reshape(len(part), width)
            far.update(found.far.tolist())
        outputs[start : start + block] = combined(answers, model.vote, model.weights)
        named[:, start : start + block] = answers.argmax(axis=2) if target.labels is not None else answers[:, :, 0]
    return Votes(
        target=target,
        outputs=outputs,
        named=named,
        epochs=tuple(epoch for _, epoch in opened),
        warnings=[*warnings, *_unknown_to_some(inputs, preparations, raw), *_far(far, len(fits))],
    )


def rows_in_common(preparations: Sequence[Preparation]) -> TablePreparation | GridPreparation:
    """Describe the rows that all members read.

    Raises:
        ProblemError: 409 `members_differ`, they read different rows.
    """
    try:
        return in_common(preparations)
    except Apart as why:
        raise ProblemError(409, "members_differ", f"{why}: there is no one row for all; name a member by ?fit=n") from None


def _unknown_to_some(inputs: TablePreparation | GridPreparation, preparations: Sequence[Preparation], raw: Array) -> list[str]:
    """Say which words of the rows some members know and others do not."""
    warnings = []
    for i, column in enumerate(inputs.columns if isinstance(inputs, TablePreparation) else ()):
        if not isinstance(column, CategoryColumn):
            continue
        met = Counter(raw[raw[:, i] >= 0, i].astype(np.int64).tolist())
        own = [one.inputs.columns[i] for one in preparations if isinstance(one.inputs, TablePreparation)]
        lacking = np.array([places(column, mine) < 0 for mine in own if isinstance(mine, CategoryColumn)])
        unknown = [position for position in met if lacking[:, position].any()]
        if unknown:
            count, members = sum(met[position] for position in unknown), int(lacking[:, unknown].any(axis=1).sum())
            words = ", ".join(shown(column.categories[position]) for position in unknown[:3])
            warnings.append(
                f"{count} words of column {column.name} did not occur in the training rows of {members} of {len(own)} members, which take them as unknown: {words}"
            )
    return warnings


def _far(rows: Counter[int], members: int) -> list[str]:
    if not rows:
        return []
    least, most = min(rows.values()), max(rows.values())
    of = "" if least == members else f" of {'up to ' if least < most else ''}{most} of {members} members"
    return [f"{len(rows)} rows lie far from all training rows{of} (the first is row {min(rows) + 1}): their answers mean little"]
