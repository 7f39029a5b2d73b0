"""The plan `bias_variance`: one round of fits on R bootstrap samples, for every value of the axis."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from data.splits.build import Division
from jobs.plans.bias_variance.conclusion import Measured, conclude
from jobs.plans.bias_variance.spec import BiasVariancePlanSpec
from jobs.plans.fits import Conclusion, FitRows, Plan, PlannedFit, Round, unfinished
from jobs.plans.maker import FitMaker


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One value of the axis; a single one without overrides where there is no axis."""

    label: str
    value: Any
    overrides: Mapping[str, Any]
    origin: str


def plan(spec: BiasVariancePlanSpec, maker: FitMaker) -> Plan:
    """Ask for R fits per setting, all of which must finish."""
    [division] = maker.divisions()
    asked = settings(spec)
    planned = [[_fit(maker, division, setting, r) for r in range(1, spec.resamples + 1)] for setting in asked]
    results = yield Round(fits=[fit for fits in planned for fit in fits])
    ended = unfinished(results)
    if ended is not None:
        return ended
    told = iter(results)
    measured = [
        Measured(setting.label, setting.value, fits, [next(told) for _ in fits]) for setting, fits in zip(asked, planned, strict=True)
    ]
    pointer = next(iter(spec.axis)) if spec.axis else None
    return Conclusion(result=conclude(pointer, maker, division, measured).model_dump(mode="json"))


def settings(spec: BiasVariancePlanSpec) -> list[Setting]:
    """Give what the fits are varied by."""
    if spec.axis is None:
        return [Setting(label="", value=None, overrides={}, origin="")]
    [(pointer, asked)] = spec.axis.items()
    name = pointer.rsplit("/", 1)[-1]
    below = f"/plan/axis/{pointer.replace('~', '~0').replace('/', '~1')}/values"
    return [
        Setting(label=f"{name} {json.dumps(value)}", value=value, overrides={pointer: value}, origin=f"{below}/{i}")
        for i, value in enumerate(asked.values)
    ]


def bootstrap_rows(division: Division, seed: int) -> FitRows:
    """Draw n of n training rows with replacement; the fit is asked about the validation rows."""
    rows = np.sort(division.train)
    drawn = np.sort(np.random.default_rng(seed).choice(rows, len(rows)))
    return FitRows(train=drawn, val=division.val, test=division.test[:0], asked=division.val, is_sample=True)


def _fit(maker: FitMaker, division: Division, setting: Setting, resample: int) -> PlannedFit:
    """Plan a fit. Rows and seed are the resample's, whatever the setting; the validation rows do not choose its epoch."""
    place: dict[str, int | float | str] = {"resample": resample}
    if setting.overrides:
        place["value"] = setting.value if isinstance(setting.value, int | float | str) else json.dumps(setting.value)
    return maker.fit(
        f"{setting.label}, resample {resample}" if setting.label else f"resample {resample}",
        partial(bootstrap_rows, division, maker.derived_seed("resample", resample, "rows")),
        overrides={**setting.overrides, "/training/kept_weights": "last"},
        seed=maker.derived_seed("resample", resample),
        place=place,
        origin=setting.origin,
    )
