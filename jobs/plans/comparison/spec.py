"""The plan `comparison`."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from models.closed import Lax, Spec, Text, Title

Pointer = Annotated[Text, Field(min_length=1, max_length=200)]


class VariantSpec(Spec):
    """The job's spec with some of it set otherwise."""

    label: Annotated[Title, Field(min_length=1, max_length=64, description="A name of its own among the variants.")]
    set: Annotated[
        dict[Pointer, JsonValue],
        Field(
            max_length=32,
            description="JSON pointer into the job's spec to its value in this variant, which replaces all that is there. Below /network, /optimizer, /schedule, /training, /regularization, /early_stopping or /preprocessing. {} is the job's spec as it is.",
            examples=[{"/optimizer": {"name": "momentum", "learning_rate": 0.01}}, {"/network/hidden_units": [256]}],
        ),
    ]


class ComparisonPlanSpec(Spec):
    """Variants of the spec, each on the same rows of every division, from the same first weights, in the same order of rows.

    The best has the lowest mean validation loss; whether another can be told from it is said by a paired bootstrap.
    """

    name: Literal["comparison"]
    variants: Annotated[tuple[VariantSpec, ...], Lax, Field(min_length=2, max_length=50, description="What is compared.")]
