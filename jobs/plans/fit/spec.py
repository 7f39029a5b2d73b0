"""The plan `fit`."""

from typing import Literal

from models.closed import Spec


class FitPlanSpec(Spec):
    """One fit per split."""

    name: Literal["fit"]
