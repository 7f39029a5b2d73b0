"""Which picture a job gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from matplotlib.figure import Figure

from api.pictures.bagging import bagging_page
from api.pictures.bias_variance import bias_variance_page
from api.pictures.boosting import boosting_page
from api.pictures.comparison import comparison_page
from api.pictures.curves import curves_page
from api.pictures.folds import folds_page
from api.pictures.learning_curve import learning_curve_page
from api.pictures.nested_cv import nested_page
from api.pictures.room import settle
from api.pictures.search import search_page
from api.pictures.style import Format, Heading, Units, written
from jobs.plans.bagging.result import BaggingResult
from jobs.plans.bias_variance.result import BiasVarianceResult
from jobs.plans.boosting.result import BoostingResult
from jobs.plans.comparison.result import ComparisonResult
from jobs.plans.conclusions import PlanResult
from jobs.plans.fit.result import FitPlanResult
from jobs.plans.learning_curve.result import LearningCurveResult
from jobs.plans.nested_cv.result import NestedCvResult
from jobs.plans.search.result import SearchResult
from jobs.plans.search.spec import SearchPlanSpec
from jobs.plans.spec import PlanSpec
from store.epochs import FitCurve


@dataclass(frozen=True, kw_only=True)
class Report:
    """What is drawn: a job's conclusion, if it has one, and its curves as far as they are."""

    heading: Heading
    plan: PlanSpec
    result: PlanResult | None
    curves: Sequence[FitCurve]
    units: Units


def picture(report: Report, kind: Format) -> bytes:
    """Draw a job."""
    return written(page_of(report), kind)


def page_of(report: Report) -> Figure:
    """Draw a job on a page that is not yet written."""
    figure = _page_of(report)
    settle(figure)
    return figure


def _page_of(report: Report) -> Figure:
    heading, result, curves, units = report.heading, report.result, report.curves, report.units
    match result:
        case None:
            return curves_page(heading, curves, units)
        case FitPlanResult():
            if len(result.divisions) > 1:
                return folds_page(heading, result, curves, units)
            return curves_page(heading, curves, units, result.sharpness)
        case ComparisonResult():
            return comparison_page(heading, result, curves, units)
        case SearchResult():
            assert isinstance(report.plan, SearchPlanSpec)
            return search_page(heading, result, report.plan, curves, units)
        case NestedCvResult():
            return nested_page(heading, result, units)
        case BaggingResult():
            return bagging_page(heading, result, units)
        case BoostingResult():
            return boosting_page(heading, result, units)
        case BiasVarianceResult():
            return bias_variance_page(heading, result, units)
        case LearningCurveResult():
            return learning_curve_page(heading, result, units)
        case _:
            assert_never(result)
