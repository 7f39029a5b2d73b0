"""What one job may ask for at most. Published at /v1/techniques; a job beyond one is refused at submit."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from training.spec import MAX_EPOCHS


class Limits(BaseModel):
    """Caps on the cost of one job."""

    model_config = ConfigDict(frozen=True)

    max_epochs: Annotated[int, Field(description="Largest training.max_epochs.", le=MAX_EPOCHS)] = MAX_EPOCHS
    max_parameters: Annotated[int, Field(description="Most parameters of one network.")] = 20_000_000
    max_row_values: Annotated[int, Field(description="Most numbers that all layers of a network put out for one row.")] = 4_000_000
    max_batch_values: Annotated[
        int, Field(description="Most numbers that all layers put out for one batch: what a training step holds in memory.")
    ] = 1_000_000_000
    max_prepared_values: Annotated[
        int, Field(description="Most numbers in all rows as they are prepared, words as columns: what a fit holds in memory.")
    ] = 3_000_000_000
    max_updates: Annotated[int, Field(description="Most optimizer updates of one fit.")] = 50_000_000
    max_fits: Annotated[int, Field(description="Most fits of one job.")] = 1000
    max_plan_updates: Annotated[int, Field(description="Most optimizer updates of all fits of one job.")] = 200_000_000
    max_sharpness_parameters: Annotated[int, Field(description="Most parameters of a network whose sharpness is measured.")] = 1_000_000
