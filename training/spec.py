"""What one fit may be asked for: everything that the training core reads."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec
from models.spec import MlpSpec, NetworkSpec
from training.losses.spec import LossSpec
from training.optimizers.spec import AdamSpec, OptimizerSpec
from training.regularizers.spec import RegularizationSpec
from training.schedules.spec import ConstantSpec, ScheduleSpec
from training.stopping.spec import EarlyStoppingSpec

MAX_EPOCHS = 10_000


class TrainingSpec(Spec):
    """How long and in which steps."""

    max_epochs: Annotated[
        int, Field(ge=1, le=MAX_EPOCHS, description="Passes over the training rows; the curve has rows 0 ... max_epochs.")
    ] = 50
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["full"] = Field(
        32, description='Rows per update: "full" is gradient descent, 1 stochastic, anything between mini-batch.'
    )
    accumulate_batches: Annotated[
        int, Field(ge=1, le=10_000, description="Batches whose gradients make one update: the gradient is the mean over all their rows.")
    ] = 1
    gradient_clip_norm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Largest global L2 norm of the whole gradient (penalties included), applied before the step."
    )
    precision: Literal["float32", "float64"] = "float32"
    kept_weights: Literal["best", "last"] = Field(
        "best", description="Weights kept at the end: of the best epoch by the monitor, or of the last."
    )


class EvaluationSpec(Spec):
    """How curves and final figures are measured."""

    max_train_rows: Annotated[int, Field(ge=1)] | None = Field(
        20_000,
        description="Training rows measured each epoch (a fixed stratified sample when there are more); null is all. The final evaluation uses all.",
    )
    resamples: Annotated[int, Field(ge=100, le=10_000)] = Field(
        1000, description="Bootstrap resamples behind each 95 % percentile interval."
    )
    sharpness: bool = Field(
        default=False,
        description="Measure how flat the kept weights' minimum is: largest Hessian eigenvalue, epsilon-sharpness (Keskar et al. 2017), and the loss along a filter-normalised direction (Li et al. 2018).",
    )


class FitSpec(Spec):
    """The part of a job spec that the training core reads."""

    network: NetworkSpec = MlpSpec(name="mlp")
    loss: LossSpec | None = Field(None, description="The data term; null chooses cross_entropy for classes, squared_error for numbers.")
    optimizer: OptimizerSpec = AdamSpec(name="adam")
    schedule: ScheduleSpec = ConstantSpec(name="constant")
    training: TrainingSpec = TrainingSpec()
    regularization: RegularizationSpec = RegularizationSpec()
    early_stopping: EarlyStoppingSpec | None = Field(None, description="null: exactly max_epochs, no hidden stop.")
    evaluation: EvaluationSpec = EvaluationSpec()
