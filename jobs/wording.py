"""What pydantic finds at fault, in this service's words: the same for a job's fields and for what a plan sets of them."""

from collections.abc import Mapping
from typing import Any

_KINDS = {
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "must be an object"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
}
_LENGTHS = {"too_long": "must have at most {max_length} characters", "too_short": "must have at least {min_length} characters"}


def worded(found: Mapping[str, Any]) -> str:
    """Say what is wrong, from one of a ValidationError's `errors()`; text that was sent is never echoed."""
    kind, is_text = found["type"], isinstance(found.get("input"), str)
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "union_tag_invalid":
        return f"unknown name; there are {found['ctx']['expected_tags']}"
    if kind == "union_tag_not_found":
        return "needs a name that says which one it is"
    if kind in _LENGTHS and is_text:
        return _LENGTHS[kind].format(**found["ctx"])
    if kind in _KINDS:
        is_flat = _KINDS[kind] == "must be a list" and is_text and "," in found["input"] and "[" not in found["input"]
        return f"{_KINDS[kind]}{', written in brackets: [128, 64]' if is_flat else ''}"
    return str(found["msg"]).removeprefix("Value error, ").replace(" after validation", "").replace("Tuple ", "List ")
