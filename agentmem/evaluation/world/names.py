"""Raw material for names: given names, family names and syllables for invented words."""

from __future__ import annotations

from random import Random

__all__ = [
    "COMPANY_SUFFIXES",
    "FIRST_NAMES",
    "LAST_NAMES",
    "company_name",
    "invented_word",
    "person_name",
    "place_name",
]

FIRST_NAMES: tuple[str, ...] = tuple(
    """
    Ada Adam Agnes Alan Alba Alice Amara Amir Ana Anders Anita Anton Aria Arthur Astrid Aylin Bella Ben Bianca
    Boris Bruno Camila Carl Carmen Cecil Chloe Clara Cyrus Dalia Daniel Daphne David Diego Dina Dora Edgar Elena
    Elias Elif Ella Emil Emma Enzo Erik Esther Eva Farah Felix Fiona Frank Freya Gita Grace Greta Gustav Hana Hanna
    Hassan Hector Helen Henry Hugo Ida Igor Ines Ingrid Irene Isaac Ivan Jade Jakob Jana Jasmin Joel Johan Jonas Judith
    Julia Karim Karin Kenji Kira Lara Lars Laura Leila Leo Lina Lucas Lucy Luis Maya Marco Maria Marta Max Mei Mila
    Milan Mona Nadia Naomi Nils Nina Noah Nora Olga Oliver Omar Oscar Pablo Paula Pedro Petra Priya Rafael Ravi Rosa
    Ruth Sami Sara Simon Sofia Stella Sven Tara Theo Tomas Uma Vera Victor Viola Wanda Yara Yusuf Zoe
    """.split()
)

LAST_NAMES: tuple[str, ...] = tuple(
    """
    Abbott Acosta Adler Ahmed Albrecht Almeida Andersen Archer Ashford Bakker Barros Bauer Becker Bennett Berg Bianchi
    Blake Bloom Boyd Brandt Brennan Brooks Calder Campos Carver Castillo Chandra Chavez Chen Cho Clarke Conrad Costa
    Cruz Dahl Dalton Das Decker Delgado Dietrich Dixon Drake Dubois Duran Eklund Ellis Engel Ericsson Esposito Falk
    Farrell Ferrari Fischer Fleming Flores Fontaine Forster Frost Fuentes Galloway Garcia Gibson Gomez Granger Greco
    Gruber Gupta Haas Hale Hansen Harper Hayashi Hendricks Herrera Hoffman Holm Horvath Hughes Ibrahim Iqbal Ito Jansen
    Jensen Joshi Kaplan Kaur Keller Khan Kimura Klein Kovacs Kramer Kumar Lambert Larsen Laurent Leclerc Lehmann Lin Lopez
    Lund Madsen Maier Malik Marino Marsh Mehta Mendes Meyer Molina Moreau Morgan Moss Navarro Nielsen Novak Okafor Olsen
    Ortega Osman Pacheco Palmer Park Patel Pereira Petrov Pham Pinto Popov Quinn Ramos Rao Reed Reyes Rinaldi Rivera Romano
    Rossi Ryan Saito Salazar Santos Sato Schmidt Schwarz Serrano Shah Silva Singh Soto Stein Suzuki Svensson Takeda Tanaka
    Torres Vargas Vega Vogel Wagner Walsh Weber Winter Wolf Yamada Yilmaz Zhang Ziegler Zimmer
    """.split()
)

COMPANY_SUFFIXES: tuple[str, ...] = (
    "Group",
    "Industries",
    "Labs",
    "Partners",
    "Systems",
    "Works",
)

_ONSETS: tuple[str, ...] = tuple("b br c d dr f g gl h j k kr l m n p pr qu r s st t tr v w x z".split())
_VOWELS: tuple[str, ...] = tuple("a e i o u a e o ia eo".split())
_CODAS: tuple[str, ...] = ("", "", "", "", "l", "n", "r", "s", "x", "m")
_COMPANY_ENDS: tuple[str, ...] = tuple("tex dyne lux nova core tron via gen mark zon".split())
_PLACE_ENDS: tuple[str, ...] = tuple("ford burg dale haven mere stad wick port holm moor".split())


def _syllable(rng: Random) -> str:
    return rng.choice(_ONSETS) + rng.choice(_VOWELS) + rng.choice(_CODAS)


def invented_word(rng: Random) -> str:
    """Return a capitalised word of two or three syllables that means nothing."""
    return "".join(_syllable(rng) for _ in range(rng.choice((2, 2, 3)))).capitalize()


def person_name(rng: Random) -> str:
    """Return a given name and a family name."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def company_name(rng: Random) -> str:
    """Return an invented company name such as ``Bravitex Labs``."""
    stem = (_syllable(rng) + rng.choice(_ONSETS) + rng.choice("aeiou")).capitalize() + rng.choice(_COMPANY_ENDS)
    return f"{stem} {rng.choice(COMPANY_SUFFIXES)}" if rng.random() < 0.5 else stem


def place_name(rng: Random) -> str:
    """Return an invented place name such as ``Kelomere``."""
    return (_syllable(rng) + rng.choice(_ONSETS) + rng.choice("aeiou")).capitalize() + rng.choice(_PLACE_ENDS)
