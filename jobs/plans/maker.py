"""What plans make fits with: a job's resolved spec on its dataset."""

import copy
import json
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import numpy as np
from pydantic import ValidationError

from data.dataset import Array, Dataset
from data.splits.build import Division
from data.splits.spec import SplitSpec
from jobs.plans.fits import FitRows, PlannedFit
from jobs.pointers import follows, parts_of, pointer_of
from jobs.problems import Problem, SpecProblems
from jobs.rows import divisions_of, input_shape_of, row_hash, seed_of, steps_per_epoch
from jobs.spec import JobSpec
from jobs.wording import worded
from models.shapes import layers, num_parameters, row_flops
from training.derivation import derive

SETTABLE = ("network", "optimizer", "schedule", "training", "regularization", "early_stopping", "preprocessing")
"""Parts of a spec that a plan may vary: what rows there are, and how they are divided, is the same for all its fits."""


class FitMaker:
    """Makes the fits of one replay of a plan; they are numbered 1, 2, ... in the order in which they are made."""

    def __init__(self, spec: JobSpec, dataset: Dataset) -> None:
        """Make fits of a resolved spec."""
        self.spec = spec
        self.dataset = dataset
        self._numbers = count(1)
        self._variants: dict[str, JobSpec] = {}

    @property
    def seed(self) -> int:
        """Give the job's seed: that of folds, variants and candidates."""
        return seed_of(self.spec)

    def derived_seed(self, *purpose: str | int) -> int:
        """Derive a seed for an ensemble's member, a resample, a draw of candidates."""
        return derive(self.seed, *purpose)

    def divisions(self, split: SplitSpec | None = None, rows: Array | None = None) -> list[Division]:
        """Divide the dataset's rows, or some of them, by the job's split or another."""
        return divisions_of(self.spec, self.dataset, split=split, rows=rows)

    def variant(self, overrides: Mapping[str, Any]) -> JobSpec:
        """Give the spec with JSON pointers set.

        Raises:
            SpecProblems: the result is no valid spec; pointers are into the varied spec.
        """
        if not overrides:
            return self.spec
        key = json.dumps(overrides, sort_keys=True)
        if key not in self._variants:
            self._variants[key] = with_overrides(self.spec, overrides)
        return self._variants[key]

    def fit(
        self,
        label: str,
        rows: Callable[[], FitRows],
        *,
        overrides: Mapping[str, Any] | None = None,
        seed: int | None = None,
        place: Mapping[str, int | float | str] | None = None,
        origin: str = "",
        stop_at: int | None = None,
        pause_at: int | None = None,
    ) -> PlannedFit:
        """Plan a fit on `rows`, which are drawn here once and again when it is trained.

        Raises:
            SpecProblems: as `variant`.
            ShapeProblem: the network cannot be built for these rows.
        """
        changed = dict(overrides or {})
        drawn = rows()
        if len(drawn.val) == 0 and self.variant(changed).training.kept_weights == "best":
            changed["/training/kept_weights"] = "last"
        spec = self.variant(changed)
        steps = steps_per_epoch(spec, len(drawn.train))
        shape = input_shape_of(spec, self.dataset, drawn.train)
        table = layers(spec.network, shape, self.dataset.info.num_outputs)
        return PlannedFit(
            number=next(self._numbers),
            label=label,
            seed=self.seed if seed is None else seed,
            spec=spec,
            rows=rows,
            row_hash=row_hash(self.dataset, drawn),
            num_rows={"train": len(drawn.train), "val": len(drawn.val), "test": len(drawn.test)},
            steps_per_epoch=steps,
            steps_planned=steps * min(stop_at or spec.training.max_epochs, spec.training.max_epochs),
            num_parameters=num_parameters(table),
            input_shape=shape,
            row_flops=row_flops(table),
            overrides=changed,
            place=dict(place or {}),
            origin=origin,
            stop_at=stop_at,
            pause_at=pause_at,
        )

    def refit(
        self,
        label: str,
        train: Array,
        test: Array,
        *,
        stop_at: int,
        overrides: Mapping[str, Any] | None = None,
        place: Mapping[str, int | float | str] | None = None,
        asked: Array | None = None,
    ) -> PlannedFit:
        """Plan a fit without validation rows, to a fixed epoch, that measures the test rows at its end."""
        rows = FitRows(train=train, val=np.empty(0, np.int64), test=test, asked=asked)
        without = {**(overrides or {}), "/early_stopping": None, "/training/kept_weights": "last"}
        return self.fit(label, lambda: rows, overrides=without, place=place, stop_at=max(1, stop_at))


def with_overrides(spec: JobSpec, overrides: Mapping[str, Any]) -> JobSpec:
    """Set JSON pointers of a spec; each replaces a whole subtree.

    Raises:
        SpecProblems: a pointer leads nowhere or to what must not vary, or the result is no valid spec. The problems'
            pointers are those that were set, or below them.
    """
    body = copy.deepcopy(spec.model_dump(mode="json"))
    problems = [problem for pointer, value in overrides.items() if (problem := _set(body, pointer, value)) is not None]
    if problems:
        raise SpecProblems(*problems)
    try:
        return JobSpec.model_validate_json(json.dumps(body))
    except ValidationError as error:
        raise SpecProblems(*_by_pointer(error, body)) from error


def _by_pointer(error: ValidationError, body: dict[str, Any]) -> list[Problem]:
    """Give one problem for each place: members of a union that all refuse a value say so together."""
    found: dict[str, list[Problem]] = {}
    for one in error.errors():
        pointer = pointer_of(one["loc"], body, is_missing=one["type"] == "missing")
        found.setdefault(pointer, []).append(Problem(pointer, one["type"], worded(one)))
    return [
        Problem(at, same[0].code, " or: ".join(dict.fromkeys(one.message for one in same)))
        for at, same in found.items()
        if not follows(at, [one.code for one in same], found)
    ]


def _set(body: dict[str, Any], pointer: str, value: Any) -> Problem | None:
    parts = parts_of(pointer)
    if not pointer.startswith("/") or parts[0] not in SETTABLE:
        return Problem(
            pointer, "cannot_vary", f"{pointer or 'an empty pointer'} cannot be varied; it must begin with /{', /'.join(SETTABLE)}"
        )
    at: Any = body
    for i, part in enumerate(parts):
        is_last = i == len(parts) - 1
        if isinstance(at, list):
            if not part.isdecimal() or int(part) >= len(at):
                return Problem(pointer, "no_such_field", f"{pointer} leads nowhere: the list has {len(at)} items")
            key: Any = int(part)
        elif isinstance(at, dict):
            if part not in at and not is_last:
                return Problem(pointer, "no_such_field", f"{pointer} leads nowhere: there is no {part} to set something in")
            key = part
        else:
            return Problem(pointer, "no_such_field", f"{pointer} leads nowhere: {'/'.join(parts[:i])} has no fields as it stands")
        if is_last:
            at[key] = copy.deepcopy(value)  # a pointer into it may follow, and the value is the plan's
        else:
            at = at[key]
    return None
