"""The plan `search`: what is tried, how it is scored, and what is chosen."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from models.closed import Lax, Spec, Text
from training.monitors import Monitor

MAX_CANDIDATES = 1000
"""Most settings that are drawn; a grid is bounded by the fits of a job alone."""
MAX_PROPOSALS = 200
"""Most settings that are proposed: each replay of the plan proposes them anew."""
DEFAULT_CANDIDATES = 20
DEFAULT_AT_ONCE = 4

Pointer = Annotated[Text, Field(min_length=1, max_length=200)]


class ListedSpec(Spec):
    """Settings that are listed: any values that the field takes."""

    values: Annotated[
        tuple[JsonValue, ...], Lax, Field(min_length=1, max_length=MAX_CANDIDATES, description="Each replaces what the pointer leads to.")
    ]


class RangeSpec(Spec):
    """Numbers from `low` to `high`, both included; for random and bayesian."""

    low: float
    high: float
    log: Annotated[bool, Field(description="Draw evenly on a logarithmic scale; low must be above 0.")] = False
    integer: Annotated[bool, Field(description="Whole numbers only; low and high must be whole.")] = False

    @model_validator(mode="after")
    def _has_numbers(self) -> "RangeSpec":
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and self.low <= 0:
            raise ValueError("a logarithmic scale begins above 0: low must be positive")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError("low and high of whole numbers must be whole")
        return self


def _form(value: Any) -> str:
    is_listed = "values" in value if isinstance(value, dict) else isinstance(value, ListedSpec)
    return "listed" if is_listed else "ranged"


AxisSpec = Annotated[Annotated[ListedSpec, Tag("listed")] | Annotated[RangeSpec, Tag("ranged")], Discriminator(_form)]
Space = Annotated[
    dict[Pointer, AxisSpec],
    Field(
        min_length=1,
        max_length=32,
        description='JSON pointer into the spec -> {"values": [...]} or {"low", "high", "log", "integer"}. Where one pointer leads into another, the outer one is set first.',
    ),
]


class HalvingSpec(Spec):
    """Successive halving (Jamieson & Talwalkar 2016): at epochs first_epochs * factor^i below max_epochs only the best 1 / factor of the candidates go on."""

    factor: Annotated[int, Field(ge=2, le=100, description="Of m candidates, ceil(m / factor) go on.")] = 3
    first_epochs: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Epochs before the first choice; null: so that about one candidate is left when max_epochs is reached."
    )


class SearchSpec(Spec):
    """Which settings are tried and how one is chosen."""

    method: Literal["grid", "random", "bayesian"] = Field(
        "grid",
        description="grid: every combination of listed values. random: combinations drawn by the seed (Bergstra & Bengio 2012). bayesian: a tree-structured Parzen estimator (Bergstra et al. 2011; Optuna's TPE, the first 10 candidates drawn at random) proposes what to try after seeing what came of the candidates before.",
    )
    space: Space
    candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] | None = Field(
        None,
        description=f"Settings drawn; null: {DEFAULT_CANDIDATES}. For random and, up to {MAX_PROPOSALS}, bayesian: a grid has as many as its values make. A setting that bayesian proposes twice is trained once, so that fewer may be tried.",
    )
    at_once: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, description=f"bayesian: candidates proposed, and trained, at the same time; null: {DEFAULT_AT_ONCE}."
    )
    metric: Annotated[
        Monitor, Field(description="What candidates are compared by: the mean over the divisions of this figure of the kept weights.")
    ] = "val_loss"
    choose: Literal["best", "one_standard_error"] = Field(
        "best",
        description="best: the best mean. one_standard_error (Breiman et al. 1984): among the candidates within s / sqrt(k) of the best one, with s over its k folds, the one of fewest parameters, then of the strongest l2, then the first.",
    )
    halving: HalvingSpec | None = Field(None, description="Stop poor candidates early; for grid and random. null: all go to their end.")


class SearchPlanSpec(SearchSpec):
    """Try settings of the spec on the split's divisions, choose one by its validation rows, and measure the test rows once, by its refit (Bergstra & Bengio 2012)."""

    name: Literal["search"]
    refit: bool = Field(
        default=True,
        description="Fit the chosen setting on all rows but the test rows, to the median best epoch of its fits. It alone measures the test rows.",
    )
