"""The base of everything a client may send: closed, frozen, strict.

A key that is not known, a number spelled as text, `true` for 1, NaN and Infinity are errors; nothing is
dropped, coerced or clamped. Lowest module of the house: every `spec.py` builds on it.
"""

import unicodedata
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

_TURNING = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_SEEN = frozenset("LNPS")
"""Letters, numbers, punctuation and symbols, by the first letter of their category."""


def _readable(text: str) -> str:
    turning = _TURNING.intersection(text)
    if turning:
        raise ValueError(f"must not contain U+{ord(min(turning)):04X}, which turns the text after it around")
    if not any(unicodedata.category(letter)[0] in _SEEN for letter in text):
        raise ValueError("must have a character that can be seen")
    return text


Title = Annotated[Text, AfterValidator(_readable)]
"""What people read, in lists and within sentences: it can be seen, and leaves the direction of what follows alone."""

# JSON has arrays, not tuples: the container is lax, its items stay strict.
Lax = Strict(strict=False)

Width = Annotated[int, Field(ge=1, le=16_384, description="Number of units or channels.")]
Probability = Annotated[float, Field(ge=0, lt=1)]
JsonSchema = dict[str, Any]
