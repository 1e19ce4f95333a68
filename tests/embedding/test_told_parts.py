"""Of long statements those parts are read that are about each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentmem.embedding.told_parts import ROOM, about_each_other

CODE = "\n".join(f"const value{n} = compute({n}, offset);" for n in range(40))


def test_short_statements_are_read_as_they_are() -> None:
    assert about_each_other("I live in Graz.", "I moved to Linz.") == ("I live in Graz.", "I moved to Linz.")


def test_what_changed_is_found_above_and_below_code() -> None:
    """Also where both are long; what has nothing to do with the other is left out."""
    before = f"Can you help me with this? The gallery shows 8 project cards.\n{CODE}\nThanks!"
    later = f"Look at my form first.\n{CODE}\nI have added two, so the gallery has 10 project cards by now. What about its margins?"

    first, second = about_each_other(before, later)

    assert "8 project cards" in first
    assert "10 project cards" in second
    assert len(first) + len(second) <= ROOM + 1


def test_a_short_statement_keeps_all_its_words_beside_a_long_one() -> None:
    first, second = about_each_other("The rent is 900 a month.", f"{CODE}\nThe rent is 950 from May on.")

    assert first == "The rent is 900 a month."
    assert "950" in second


@given(st.text(max_size=2_000), st.text(max_size=2_000))
def test_any_two_texts_fit(before: str, later: str) -> None:
    first, second = about_each_other(before, later)

    assert len(first) + len(second) <= max(ROOM + 1, 0) or (first, second) == (before, later)
    assert about_each_other(before, later) == (first, second)
