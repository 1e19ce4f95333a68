"""The same name, a slip of the fingers, or a namesake."""

from __future__ import annotations

import pytest

from agentmem.extract.english.names import compare


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Ines", "Ines Varga lives in Porto."),
        ("ines varga", "Ines Varga lives in Porto."),
        ("Varga", "Ines Varga lives in Porto."),
        ("Dr. Falk", "Our dentist is Falk."),
        ("brendas", "brenda has a dog"),
        ("Zoë", "Zoe has a dog."),
        ("db-prod-1", "db-prod-1 runs Postgres."),
        ("gate 4", "Gate 4 is closed."),
    ],
)
def test_one_name_in_other_dress(name: str, text: str) -> None:
    assert compare(name, text).likeness == "same"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Ines Vagra", "Ines Varga lives in Porto."),
        ("Marisl", "Marisol sings."),
        ("Linndgren", "Lindgren sings."),
        ("Sarah", "Sara sings."),
        ("Johnathan", "Jonathan sings."),
        ("dimitri", "Dmitri sings."),
        ("Vsrga", "Varga sings."),
    ],
)
def test_a_slip_within_a_word_is_likely_the_same_name(name: str, text: str) -> None:
    assert compare(name, text).likeness == "slip"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Ines Duarte", "Ines Varga lives in Porto."),
        ("Stefania Kowal", "Stefan Kowal sings."),
        ("Daniela", "Daniel sings."),
        ("Castellani", "Mrs Castellano sings."),
        ("Lindgren", "Lindqvist sings."),
        ("Petra Lang", "Peter Lang sings."),
        ("auth-broker", "auth-proxy is in Rome."),
        ("db-prod-7", "db-prod-1 runs Postgres."),
        ("gate 41", "Gate 14 is closed."),
        ("Lana", "Dana sings."),
    ],
)
def test_another_ending_first_letter_surname_or_number_is_another(name: str, text: str) -> None:
    assert compare(name, text).likeness == "near"


@pytest.mark.parametrize(
    ("name", "text"), [("Eric", "Derek lives in Hull."), ("Tom", "Yusuf sings."), ("Ana", "She sings.")]
)
def test_a_stranger_is_absent(name: str, text: str) -> None:
    assert compare(name, text).likeness == "absent"


def test_a_name_that_is_known_is_no_slip_for_another() -> None:
    """Of Meier and Maier both are told: who asks for the one does not mean the other."""
    assert compare("Meier", "Maier sings.").likeness == "slip"
    assert compare("Meier", "Maier sings.", known={"meier", "maier"}).likeness == "near"
