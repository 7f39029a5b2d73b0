"""Every technique a job spec may ask for, read off the specs themselves."""

import inspect
import re
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticUndefined

from api.views.catalog import TechniqueView
from data.preprocessing.spec import PreprocessingSpec
from data.splits.spec import SplitSpec
from jobs.plans.spec import PlanSpec
from models.activations.spec import RULES
from models.initializers.spec import InitializerSpec
from models.normalizations.spec import NormalizationSpec
from models.spec import NetworkSpec
from training.augmentations.spec import AugmentationSpec
from training.losses.spec import LossSpec
from training.optimizers.spec import OptimizerSpec
from training.regularizers.spec import RegularizationSpec
from training.schedules.spec import ScheduleSpec
from training.stopping.spec import EarlyStoppingSpec

_UNIONS: tuple[tuple[str, str, Any], ...] = (
    ("network", "/network", NetworkSpec),
    ("normalization", "/network/normalization", NormalizationSpec),
    ("initializer", "/network/initializer", InitializerSpec),
    ("loss", "/loss", LossSpec),
    ("optimizer", "/optimizer", OptimizerSpec),
    ("schedule", "/schedule", ScheduleSpec),
    ("augmentation", "/regularization/augmentations/0", AugmentationSpec),
    ("split", "/split", SplitSpec),
    ("plan", "/plan", PlanSpec),
)
_SINGLES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("regularization", "/regularization", RegularizationSpec),
    ("early_stopping", "/early_stopping", EarlyStoppingSpec),
    ("preprocessing", "/preprocessing", PreprocessingSpec),
)
_REFERENCE = re.compile(r"[A-Z][A-Za-z&. ]+? (?:et al\. )?(?:18|19|20)\d\d")


def techniques() -> list[TechniqueView]:
    """List every member of every union, and the parts that have one form."""
    found = [_view(category, pointer, member) for category, pointer, union in _UNIONS for member in members(union)]
    found += [_view(category, pointer, spec) for category, pointer, spec in _SINGLES]
    for name, rule in RULES.items():
        schema = {"const": name, "type": "string"}
        found.append(
            TechniqueView(
                category="activation",
                name=name,
                pointer="/network/activation",
                rule=rule,
                references=_REFERENCE.findall(rule),
                defaults={},
                json_schema=schema,
            )
        )
    return found


def page() -> str:
    """Write docs/techniques.md: a line for each technique."""
    lines = [
        "# Techniques",
        "",
        "Written from the specs by `make techniques`; a test compares. `/v1/techniques` adds schemas and defaults.",
        "",
    ]
    category = ""
    for one in techniques():
        if one.category != category:
            category = one.category
            if lines[-1]:
                lines.append("")
            lines += [f"## {category.replace('_', ' ').capitalize()}, at `{one.pointer}`", ""]
        lines.append(f"* `{one.name}`: {one.rule}")
        if category == "regularization":
            fields = RegularizationSpec.model_fields.items()
            lines += [f"    * `{name}`: {field.description}" for name, field in fields]
    return "\n".join(lines) + "\n"


def members(union: Any) -> list[type[BaseModel]]:
    """List the classes of a union of specs, or the one class there is."""
    if get_origin(union) is Annotated:
        return members(get_args(union)[0])
    if get_origin(union) in {Union, UnionType}:
        return [one for one in get_args(union) if one is not type(None)]
    return [union]


def _view(category: str, pointer: str, spec: type[BaseModel]) -> TechniqueView:
    text = inspect.getdoc(spec) or ""
    name_field = spec.model_fields.get("name")
    name = get_args(name_field.annotation)[0] if name_field is not None else category
    return TechniqueView(
        category=category,
        name=name,
        pointer=pointer,
        rule=" ".join(text.split()),
        references=_REFERENCE.findall(text),
        defaults=_defaults(spec),
        json_schema=spec.model_json_schema(),
    )


def _defaults(spec: type[BaseModel]) -> dict[str, Any]:
    given = {name: field for name, field in spec.model_fields.items() if field.default is not PydanticUndefined}
    return {name: TypeAdapter(Any).dump_python(field.default, mode="json") for name, field in given.items()}
