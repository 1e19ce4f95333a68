"""Messages in tokens: where the one stands that is answered next, and what it is by itself."""

from __future__ import annotations

from agentmem.editors.gate.framing import LONGEST, Framing

SPECIAL = frozenset({0, 1, 2})
ROW = (1, 50, 51, 0, 2, 60, 0, 1, 70, 71, 72, 0, 2, 9)  # …user turn 70-72, its end, then the opening (2, 9)


def test_the_last_message_ends_where_the_answer_begins_and_starts_at_a_special_token() -> None:
    assert Framing((2, 9), SPECIAL).message(ROW) == (8, 11, True)
    assert Framing((), SPECIAL).message([5, 6, 7]) == (0, 3, False)
    assert Framing((), SPECIAL).message([]) == (0, 0, False)


def company(framing, row):
    return framing.company(row, framing.message(row))


def test_a_message_in_company_is_framed_as_the_first_of_a_conversation() -> None:
    framing = Framing((2, 9), SPECIAL, head=(1,), closing=(0,))

    assert company(framing, ROW) == ((1, 70, 71, 72, 0, 2, 9), 7, 0)
    assert company(framing, (1, 70, 71, 72, 0, 2, 9)) is None  # it is that already


def test_what_opens_every_conversation_is_no_company() -> None:
    """The template writes a token before the first header: that one is seen, wherever the message stands."""
    framing = Framing((2, 9), SPECIAL, head=(7, 1), closing=(0,))

    assert company(framing, (7, *ROW)) == ((7, 1, 70, 71, 72, 0, 2, 9), 7, 1)


def test_what_cannot_be_cut_out_is_left_in_its_company() -> None:
    framing = Framing((2, 9), SPECIAL, head=(1,), closing=(0,))

    assert company(Framing((2, 9), SPECIAL), ROW) is None  # without a template that says how messages begin
    assert company(framing, (1, *range(10, 11 + LONGEST), 0, 2, 9)) is None  # longer than what is read
