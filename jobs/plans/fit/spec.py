"""The plan `fit`."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class FitPlanSpec(Spec):
    """One fit per division of the split: one for holdout, one for each fold of k_fold and time_series."""

    name: Literal["fit"]
    refit: Annotated[
        bool,
        Field(
            description="Afterwards fit once more on all rows but the test rows, for as many epochs as the median best epoch of the fits before (halves up, at least 1; the schedule keeps its length). That network is the job's model, and alone measures the test rows, once."
        ),
    ] = False
