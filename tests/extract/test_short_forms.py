"""Short and pet forms of names are told from namesakes by how they are made."""

from __future__ import annotations

import pytest

from agentmem.extract.short_forms import short_for, short_name


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Pip", "Pippin"),
        ("Sandy", "Sanderling"),
        ("Clemmie", "Clementine"),
        ("Wilfie", "Wilf"),
        ("Alf", "Alfie"),
        ("Mina", "Wilhelmina"),
        ("Goldie", "Marigold"),
        ("Bertie", "Cuthbert"),
        ("Běty", "Běta"),
    ],
)
def test_a_short_form_is_one(word: str, name: str) -> None:
    assert short_for(word, name)


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("Stefan", "Stefania"),
        ("Bert", "Bertha"),
        ("Julio", "Julia"),
        ("Anna", "Anne"),
        ("Ada", "Nadia"),
        ("Ana", "Ana"),
        ("A", "Ana"),
        ("", "Ana"),
    ],
)
def test_a_namesake_is_none(word: str, name: str) -> None:
    assert not short_for(word, name)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Fran Duffield", "Frances Duffield"),
        ("Theo V", "Theo Vance"),
        ("What Wilfie", "Wilf"),
        ("KAB", "Kwame Asante-Boateng"),
        ("IR2", "Interview Room 2"),
        ("Pip's", "qPCR machine Pippin"),
    ],
)
def test_whoever_is_called_by_a_short_form_is_known(said: str, name: str) -> None:
    assert short_name(said, name)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Frances Duffy", "Frances Duffield"),
        ("Rory Tully", "Rory Tulloch"),
        ("Matteo Bianchi", "Matteo Bianchetti"),
        ("Frances Duffield", "Frances Duffield"),
        ("The", "Theo Vance"),
        ("", "Theo Vance"),
    ],
)
def test_a_family_name_is_not_cut_short(said: str, name: str) -> None:
    assert not short_name(said, name)
