"""A job spec: what a client submits. Only `dataset` is required; every default is echoed back."""

from typing import Annotated, Literal

from pydantic import Field

from data.preprocessing.spec import PreprocessingSpec
from data.splits.spec import HoldoutSpec, SplitSpec
from jobs.plans.fit.spec import FitPlanSpec
from jobs.plans.spec import PlanSpec
from models.closed import Text, Title
from training.spec import FitSpec

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
MetadataKey = Annotated[Text, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[Text, Field(max_length=500)]

RunSeconds = Annotated[float, Field(gt=0, le=30 * 86_400)]


class JobSpec(FitSpec):
    """One job: a dataset, a network, how to train it, how to hold rows out, and which fits to run."""

    dataset: Annotated[
        Text, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$", description="Id of a dataset, as listed at /v1/datasets.")
    ]
    name: Annotated[Title, Field(min_length=1, max_length=200)] | None = None
    split: SplitSpec = HoldoutSpec(name="holdout")
    preprocessing: PreprocessingSpec = PreprocessingSpec()
    plan: PlanSpec = FitPlanSpec(name="fit")
    seed: Seed | None = Field(None, description="Everything random is derived from it. null: drawn, stored and echoed. 0 is a real seed.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU where the worker has one.")
    time_limit_seconds: RunSeconds | None = Field(
        None, description="Longest running time; the job then ends failed/time_limit with its kept model."
    )
    metadata: Annotated[dict[MetadataKey, MetadataValue], Field(max_length=32)] = Field(default_factory=dict)
