"""The plan `boosting`: members in sequence, each on the rows weighted by what the ones before got wrong."""

from typing import Annotated, Literal

from pydantic import Field

from models.closed import Spec


class BoostingPlanSpec(Spec):
    """Boosting: SAMME for classes (Zhu et al. 2009), AdaBoost.R2 with linear loss for numbers (Drucker 1997).

    Round by round a member is trained with weights of mean 1 on the training rows in its objective, and rows that it errs on
    weigh more in the next. Classes: with e the weighted error, alpha = eta (ln((1 - e) / e) + ln(K - 1)), K the classes
    present, and weights of wrong rows are multiplied by exp(alpha); it stops at e >= 1 - 1/K. Numbers: with L = |error| /
    largest |error|, e its weighted mean and beta = e / (1 - e), alpha = eta ln(1 / beta), and weights are multiplied by
    beta^((1 - L) eta); it stops at e >= 0.5. The member that stops it is dropped, unless it is the first, which is then kept
    alone with alpha 1. A member without error (e = 0) ends it with alpha 1, earlier members stay. So does a member that
    diverges or fails, which is left out. Classes are voted by alpha, numbers are the median weighted by alpha.

    Without early stopping members keep the last epoch's weights (training.kept_weights is set to last): the validation loss
    is not weighted, and would choose against what a later member is trained for. Needs one division of the rows.
    """

    name: Literal["boosting"]
    members: Annotated[int, Field(ge=1, le=200, description="Rounds at most, one network each.")] = 10
    learning_rate: Annotated[
        float, Field(gt=0, le=10, description="eta: shrinks every member's alpha. Not the learning rate of the optimizer.")
    ] = 1.0
