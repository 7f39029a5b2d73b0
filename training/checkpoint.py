"""All that one fit has come to after an epoch, as bytes: what it goes on from, bit for bit.

Rows of the stack's matrices, every tensor in the order of its shape, and a JSON of counts and figures beside them. Nothing of random numbers: they
are derived from the seed and the epoch. A checkpoint knows nothing of the fits that shared the stack.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from models.base import Segments
from models.closed import Spec
from training.export import load_safetensors, safetensors_metadata, save_safetensors
from training.members import Member
from training.monitors import Progress
from training.weights import Weights

FORMAT: Literal[1] = 1
"""Counted up whenever what is written changes its meaning."""

_KEY = "checkpoint"
_BEST = "best."


class _Followed(Spec):
    """What is left of following a monitor."""

    best_epoch: int | None
    best_value: float | None
    bad_epochs: int

    @classmethod
    def of(cls, progress: Progress) -> "_Followed":
        value = None if progress.best_epoch is None else progress.best_value
        return cls(best_epoch=progress.best_epoch, best_value=value, bad_epochs=progress.bad_epochs)

    def bring(self, progress: Progress) -> None:
        if self.best_epoch is not None and self.best_value is not None:
            progress.best_epoch, progress.best_value = self.best_epoch, self.best_value
        progress.bad_epochs = self.bad_epochs


class Facts(Spec):
    """What a checkpoint says beside its tensors. `steps` counts the updates so far, `average_updates` those of the weights' average."""

    format: Literal[1] = FORMAT
    structure: str
    seed: int
    last_epoch: int
    figures: dict[str, float]
    stopper: _Followed
    schedule: _Followed | None
    reductions: int
    steps: int
    average_updates: int | None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and fits its fit."""

    facts: Facts
    arrays: Mapping[str, np.ndarray]

    def restore(self, member: Member, state: Mapping[str, Tensor], best: Weights) -> None:
        """Write it over a fresh `member`, its rows `state` and, if it has best weights, over `best`, which become the member's."""
        for name, row in state.items():
            row.copy_(self._row(name, best.layout))
        facts = self.facts
        if facts.stopper.best_epoch is not None:
            for name, row in best.row(0).items():
                row.copy_(self._row(_BEST + name, best.layout))
            member.best = best
        member.last_epoch, member.figures = facts.last_epoch, facts.figures
        facts.stopper.bring(member.stopper.progress)
        member.schedule.reductions = facts.reductions
        if facts.schedule is not None and member.schedule.progress is not None:
            facts.schedule.bring(member.schedule.progress)

    def _row(self, name: str, layout: Segments) -> Tensor:
        row = torch.from_numpy(self.arrays[name])
        return layout.stored(row) if _is_of_parameters(name) else row


def save(
    member: Member, structure: str, layout: Segments, state: Mapping[str, Tensor], *, steps: int, average_updates: int | None
) -> bytes:
    """Write what `member` of a stack of `structure` has come to; `state` are its rows of the stack's matrices, of `layout`.

    Raises:
        ValueError: the fit has gone through no epoch.
    """
    if member.last_epoch is None:
        raise ValueError("a fit that has gone through no epoch has no checkpoint")
    progress = member.schedule.progress
    facts = Facts(
        structure=structure,
        seed=member.fit.seed,
        last_epoch=member.last_epoch,
        figures=dict(member.figures),
        stopper=_Followed.of(member.stopper.progress),
        schedule=None if progress is None else _Followed.of(progress),
        reductions=member.schedule.reductions,
        steps=steps,
        average_updates=average_updates,
    )
    rows = {name: layout.usual(row) if _is_of_parameters(name) else row for name, row in {**state, **_best_rows(member.best)}.items()}
    return save_safetensors({name: row.detach().cpu().numpy() for name, row in rows.items()}, {_KEY: facts.model_dump_json()})


def load(content: bytes, member: Member, structure: str, state: Mapping[str, Tensor]) -> Checkpoint:
    """Read a checkpoint for `member` of a stack of `structure`, whose rows are `state`; nothing is changed yet.

    Raises:
        ValueError: it is none, of another format, or of another fit.
    """
    place = f"the checkpoint of fit {member.fit.number}"
    try:
        arrays = load_safetensors(content)
        facts = Facts.model_validate_json(safetensors_metadata(content).get(_KEY, ""))
    except (SafetensorError, ValidationError) as error:
        raise ValueError(f"{place} cannot be read as format {FORMAT}: {error}") from None
    if facts.structure != structure:
        raise ValueError(f"{place} is of another structure: {facts.structure}, not {structure}")
    if facts.seed != member.fit.seed:
        raise ValueError(f"{place} is of a fit of seed {facts.seed}, not {member.fit.seed}")
    if (facts.schedule is None) != (member.schedule.progress is None):
        raise ValueError(f"{place} is of a fit of another schedule")
    expected = {**state, **({} if facts.stopper.best_epoch is None else {_BEST + name: state[name] for name in ("parameters", "buffers")})}
    shapes = {name: (tuple(row.shape), str(row.dtype).removeprefix("torch.")) for name, row in expected.items()}
    if {name: (values.shape, str(values.dtype)) for name, values in arrays.items()} != shapes:
        raise ValueError(f"{place} holds other tensors than the fit: {sorted(arrays)}, not {sorted(shapes)}")
    return Checkpoint(facts, arrays)


def _is_of_parameters(name: str) -> bool:
    """Tell rows [P] (parameters, an optimizer's) from followed buffers [Q]."""
    return not name.endswith("buffers")


def _best_rows(best: Weights | None) -> dict[str, Tensor]:
    return {} if best is None else {_BEST + name: row for name, row in best.row(0).items()}
