"""The plan `comparison`: every variant on every division, with the job's seed.

So the variants see the same rows in the same order and start from the same weights: what differs is what was set. They are
ranked by mean validation loss. Each is set against the best by a paired bootstrap (Efron & Tibshirani 1993) over validation
rows, which leaves out that another seed, or other training rows, may change the order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from jobs.plans.comparison.result import ComparisonResult, VariantResult
from jobs.plans.comparison.spec import ComparisonPlanSpec, VariantSpec
from jobs.plans.divided import Ended, asking, difference, summaries, summary
from jobs.plans.fits import Conclusion, Plan, Round, failed
from jobs.plans.maker import FitMaker
from jobs.plans.results import ModelOf, Spread, fit_figures, loss_interval, shown_mean, why_unfinished


@dataclass(frozen=True, kw_only=True)
class _Variant:
    """A variant with its fits, one for each division, and what they say together: nothing if one did not finish."""

    spec: VariantSpec
    ended: Sequence[Ended]
    summary: Mapping[str, Spread]

    @property
    def val_loss(self) -> float:
        return self.summary["val_loss"].mean


def plan(spec: ComparisonPlanSpec, maker: FitMaker) -> Plan:
    """Ask for all fits at once; at least one variant has to finish all of its own."""
    divisions = maker.divisions()
    fits = [
        maker.fit(
            variant.label if len(divisions) == 1 else f"{variant.label}, {one.label}",
            partial(asking, one),
            overrides=variant.set,
            place={"variant": variant.label, **one.place},
            origin=f"/plan/variants/{i}/set",
        )
        for i, variant in enumerate(spec.variants)
        for one in divisions
    ]
    results = yield Round(fits=fits)
    ended = list(zip(fits, results, strict=True))
    count = len(divisions)
    variants = [_variant(maker, variant, ended[i * count : (i + 1) * count]) for i, variant in enumerate(spec.variants)]
    ranked = sorted((one for one in variants if one.summary), key=lambda one: one.val_loss)
    if not ranked:
        return failed(next(result for result in results if not result.is_finished))
    shapes = [_shaped(maker, i, one, ranked[0]) for i, one in enumerate(ranked, start=1)]
    shapes += [_unranked(one) for one in variants if not one.summary]
    best = ranked[0]
    result = ComparisonResult(
        sentence=_sentence(shapes, count),
        fits=[fit_figures(*one) for one in ended],
        model=ModelOf(fits=[best.ended[0][0].number]) if count == 1 else None,
        plan="comparison",
        divisions=summaries(maker.dataset, divisions),
        best=best.spec.label,
        variants=shapes,
    )
    return Conclusion(result=result.model_dump(mode="json"))


def _variant(maker: FitMaker, spec: VariantSpec, ended: Sequence[Ended]) -> _Variant:
    is_complete = all(result.is_finished for _, result in ended)
    return _Variant(spec=spec, ended=ended, summary=summary(maker.dataset, ended) if is_complete else {})


def _shaped(maker: FitMaker, rank: int, variant: _Variant, best: _Variant) -> VariantResult:
    apart = None
    if variant is not best:
        value, resamples = variant.val_loss - best.val_loss, maker.spec.evaluation.resamples
        apart = difference(maker.dataset, variant.ended, best.ended, value, resamples, maker.seed)
    return VariantResult(
        rank=rank,
        label=variant.spec.label,
        set=variant.spec.set,
        fits=[planned.number for planned, _ in variant.ended],
        val_loss=loss_interval(variant.summary["val_loss"], variant.ended[0][1]),
        summary=dict(variant.summary),
        difference=apart,
        is_distinguishable=None if variant is best else apart is not None and not apart.low <= 0 <= apart.high,
        why=None,
    )


def _unranked(variant: _Variant) -> VariantResult:
    return VariantResult(
        rank=None,
        label=variant.spec.label,
        set=variant.spec.set,
        fits=[planned.number for planned, _ in variant.ended],
        val_loss=None,
        summary={},
        difference=None,
        is_distinguishable=None,
        why=why_unfinished(*next(one for one in variant.ended if not one[1].is_finished)),
    )


def _sentence(variants: Sequence[VariantResult], divisions: int) -> str:
    best, others = variants[0], variants[1:]
    assert best.val_loss is not None
    said = [f"{best.label} is best: validation loss {shown_mean(best.val_loss, divisions, 'divisions')}"]
    alike = [one.label for one in others if one.is_distinguishable is False]
    worse = [one.label for one in others if one.is_distinguishable]
    unranked = [one.label for one in others if one.rank is None]
    if alike:
        said.append(f"{_listed(alike)} not distinguishable from it")
    if worse:
        said.append(f"{_listed(worse)} worse")
    if unranked:
        said.append(f"{_joined(unranked)} did not finish")
    return "; ".join(said)


def _listed(labels: Sequence[str]) -> str:
    return f"{_joined(labels)} {'is' if len(labels) == 1 else 'are'}"


def _joined(labels: Sequence[str]) -> str:
    return " and ".join([part for part in (", ".join(labels[:-1]), labels[-1]) if part])
