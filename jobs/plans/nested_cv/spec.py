"""The plan `nested_cv`."""

from typing import Annotated, Literal

from pydantic import Field

from data.splits.spec import HoldoutSpec, KFoldSpec, TimeSeriesSpec
from jobs.plans.search.spec import SearchSpec
from models.closed import Spec

InnerSplitSpec = Annotated[HoldoutSpec | KFoldSpec | TimeSeriesSpec, Field(discriminator="name")]


class NestedCvPlanSpec(Spec):
    """Measure a search itself: around it the job's split is the outer one, and its validation rows are seen once, by the setting that an inner search on the training rows chose (Varma & Simon 2006)."""

    name: Literal["nested_cv"]
    inner_split: InnerSplitSpec = Field(
        KFoldSpec(name="k_fold", folds=3), description="How the training rows of each outer fold are divided for its search."
    )
    search: Annotated[
        SearchSpec,
        Field(
            description="The search in each outer fold. Its choice is fitted on all training rows of the outer fold, to the median best epoch."
        ),
    ]
