"""Texts that people read: stored by every database, seen in every list, and without a turn for what follows."""

import pytest
from pydantic import TypeAdapter, ValidationError

from models.closed import Title

TITLE = TypeAdapter(Title)


@pytest.mark.parametrize("text", ["a", "한국어 이름", "数据", "שלום", "🙂", "-", "a\u200bb", "1"])
def test_titles_of_every_script_are_taken_as_they_are(text: str) -> None:
    assert TITLE.validate_python(text) == text


@pytest.mark.parametrize("text", ["\u00a0", "\u200b", " \t", "\u200f", "\u0301"])
def test_a_title_that_nobody_can_see_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="must have a character that can be seen"):
        TITLE.validate_python(text)


@pytest.mark.parametrize("letter", "\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
def test_a_title_does_not_turn_the_text_after_it_around(letter: str) -> None:
    with pytest.raises(ValidationError, match=f"must not contain U\\+{ord(letter):04X}"):
        TITLE.validate_python(f"loss {letter}0.5")
