"""The base of everything a client may send: closed, frozen, strict.

A key that is not known, a number spelled as text, `true` for 1, NaN and Infinity are errors; nothing is
dropped, coerced or clamped. Lowest module of the house: every `spec.py` builds on it.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, Strict


class Spec(BaseModel):
    """A closed, frozen request object."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _printable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be Unicode text, without lone surrogates") from None
    return text


Text = Annotated[str, AfterValidator(_printable)]
"""A string that every database stores and every encoder writes: no NUL, no lone surrogates."""

# JSON has arrays, not tuples: the container is lax, its items stay strict.
Lax = Strict(strict=False)

Width = Annotated[int, Field(ge=1, le=16_384, description="Number of units or channels.")]
Probability = Annotated[float, Field(ge=0, lt=1)]
JsonSchema = dict[str, Any]
