"""What keeps a network from learning its training rows by heart. Every neutral value (0, null, [], false) is accepted everywhere."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Lax, Spec
from training.augmentations.spec import AugmentationSpec

Alpha = Annotated[float, Field(ge=0, le=100)]
ClassWeight = Annotated[float, Field(gt=0, le=1e6)]


class RegularizationSpec(Spec):
    """Penalties act on weights only, never on biases or normalization parameters. All of it acts while training: curves are measured without."""

    l1: Annotated[float, Field(ge=0, description="lambda * sum |w| is added to the objective; the derivative at 0 is 0.")] = 0.0
    l2: Annotated[float, Field(ge=0, description="lambda / 2 * sum w^2 is added to the objective (gradient lambda * w).")] = 0.0
    max_norm: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="After each update the incoming weights of every unit (or filter) are scaled down to at most this L2 norm (Srivastava et al. 2014).",
    )
    label_smoothing: Annotated[
        float,
        Field(
            ge=0, lt=1, description="Target (1 - e) * onehot + e / K for K classes, in the training objective only (Szegedy et al. 2016)."
        ),
    ] = 0.0
    mixup_alpha: Annotated[
        Alpha,
        Field(
            description="Rows are mixed with a permutation of their batch, s x + (1 - s) x', and so are their losses; one s ~ Beta(alpha, alpha) for each batch (Zhang et al. 2018). 0 is off."
        ),
    ] = 0.0
    cutmix_alpha: Annotated[
        Alpha,
        Field(
            description="A rectangle of a permutation of the batch is pasted into images; losses are mixed by the area that is left, after clipping; 1 - s of the area is asked for, s ~ Beta(alpha, alpha) (Yun et al. 2019). 0 is off."
        ),
    ] = 0.0
    input_noise: Annotated[
        float,
        Field(
            ge=0, le=100, description="Standard deviation of Gaussian noise on inputs, in units of the standardised feature (Bishop 1995)."
        ),
    ] = 0.0
    weight_noise: Annotated[
        float,
        Field(
            ge=0,
            le=100,
            description="Standard deviation of Gaussian noise added to weights for each forward and backward pass and removed before the update (Graves 2011).",
        ),
    ] = 0.0
    class_weights: Literal["balanced"] | Annotated[tuple[ClassWeight, ...], Lax, Field(min_length=2, max_length=10_000)] | None = Field(
        None,
        description="Weight of each class's rows in the training objective, scaled to mean 1 over the training rows; balanced is n / (K * n_c).",
    )
    balanced_sampling: Annotated[
        bool,
        Field(
            description="An epoch draws n training rows with replacement, every class equally often in the mean, instead of each row once."
        ),
    ] = False
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Measure and keep an exponential average of the weights: a <- d a + (1 - d) w after each update t, d = min(ema_decay, (1 + t) / (10 + t)) (Polyak & Juditsky 1992).",
    )
    augmentations: Annotated[
        tuple[AugmentationSpec, ...], Lax, Field(max_length=16, description="Random changes of training inputs, applied in this order.")
    ] = ()
