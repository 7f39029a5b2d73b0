"""When a fit stops before its last epoch."""

from typing import Annotated

from pydantic import Field

from models.closed import Spec
from training.monitors import Monitor


class EarlyStoppingSpec(Spec):
    """Stop at the end of the `patience`-th consecutive epoch that did not improve on the best (Prechelt 1998).

    Improving means better than the best so far by more than `min_delta` (absolute, strict). Epoch 0 is the first best.
    """

    monitor: Monitor = "val_loss"
    patience: Annotated[int, Field(ge=1, description="Epochs without improvement that are tolerated.")] = 5
    min_delta: Annotated[float, Field(ge=0)] = 0.0
