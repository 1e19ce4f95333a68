"""A relation is asked for by what its words are: a noun as a noun, a predicate as a predicate, whatever letters it ends in."""

from __future__ import annotations

import pytest

from agentmem.consolidation.phrasing import Phrased, phrase, question
from agentmem.notes.note import Fact

NOMINALS = """version|position|plugin|motto|preferred seat|time zone|mission|admin|domain|origin|margin|pin|cabin|station|season|icon|mascot|format|habitat|thermostat
|discount|account|patient|amount|heat|boat|coat|cat|veto|auto|potato|tattoo|photo|logo|memento|canvas size|atlas page|alias|bus|bonus|status|campus|virus|focus
|basis|thesis|diagnosis|axis|oasis|address book|class|glass|access code|process|business|success rate|witness|roof|proof|chief|brief|belief|shelf|staff|tariff|cliff
|deadline|budget|shoe size|blood type|ring tone|screen resolution|operating system|coffee order|gym locker|parking spot|date of purchase|point of contact
|number of employees|head of sales|sense of humour|place of worship|line of work|type of soil|cost of repair|end of term|rate of growth|day of rest|state of repair
|wing span|launch window|cruising speed|boiling point|melting point|half-life|check-in desk|built-in camera|follow-up date|stand-in|log-in name|add-on|walk-in closet
|garden fence|wedding venue|thesis topic|exam grade|hair colour|eye colour|login shell|home directory|default branch|license plate|postcode|tax class|insurance plan
|landing page|reading list|writing style|opening hour|closing time|serving temperature|training plan|meeting point|spelling|ceiling|wiring|heating|lighting
|emergency exit|coat of arms|frame rate|sample size|batch number|voltage|torque|salinity|altitude|wavelength|pseudonym|epitaph|dowry|heirloom|godparent""".replace(
    "\n", ""
).split("|")

PLURALS = """siblings|founding members|travel expenses|working hours|dietary restrictions|test results|power tools|office plants|side effects|opening times|conditions
|achievements|qualifications|subsidiaries of note|competitors|suppliers|investors""".replace("\n", "").split("|")

DOING = """reports to|depends on|belongs to|listens to|waits for|pays for|relies on|consists of|competes with|connects to|subscribes to|specialises in|believes in
|looks after|cares for|dreams of|suffers from|descends from|points at|runs on|ships with|sails under|borders on|votes for|roots for|hides from|collaborates with
|participates in|graduates from|cooks for|studies with|flies to|goes to|commutes by|searches for|prefers|uses|requires|contains|supports|wears|drinks|teaches|manages|collects""".replace(
    "\n", ""
).split("|")

BEING = """afraid of|allergic against|proud of|responsible for|keen on|fond of|working on|living with|close to|full of|dependent on|capable of|is afraid of|is working on
|was raised by|is made of|has climbed|has visited|has been to|familiar with|jealous of|suitable for|available at|is known as|eligible for""".replace(
    "\n", ""
).split("|")

OPEN = "located near|stored under|moved towards|named after|grew up with|inspired by|translated into|banned from|designed for|friend of|capital of|fell for|hired by|addicted to|student of|assistant to|rival of".split(
    "|"
)


@pytest.mark.parametrize("name", NOMINALS)
def test_a_noun_is_asked_for_as_a_noun(name: str) -> None:
    """Also one that ends in the letters of a preposition, or in -s and is no plural."""
    assert question(Fact("Ana", name, "x")) in {
        f"{wh} is {form}?" for wh in ("What", "Who") for form in (f"the {name} of Ana", f"Ana's {name}")
    }


@pytest.mark.parametrize("name", PLURALS)
def test_several_things_are_asked_for_as_several(name: str) -> None:
    """What is sure to be a plural; a lone word in -s that may be a verb is asked for in words that fit both."""
    assert question(Fact("Ana", name, "x")) in {f"What are the {name} of Ana?", f"What is the {name} of Ana?"}


@pytest.mark.parametrize("name", DOING)
def test_what_somebody_does_is_asked_with_does(name: str) -> None:
    asked = question(Fact("Ana", name, "x"))
    mine = question(Fact("user", name, "x"))

    assert asked.startswith("What does Ana ")
    assert mine.startswith("What do I ")
    assert not asked.removesuffix("?").split()[3].endswith("s")
    assert asked.split()[-1].removesuffix("?") in (
        name.rsplit(maxsplit=1)[-1],
        name.rsplit(maxsplit=1)[-1][:-1],
        name.rsplit(maxsplit=1)[-1][:-2],
    )


@pytest.mark.parametrize("name", BEING)
def test_what_somebody_is_or_has_done_is_asked_with_that_verb(name: str) -> None:
    asked = question(Fact("Ana", name, "x"))
    rest = name.split(" ", 1)[1] if name.split(maxsplit=1)[0] in ("is", "was", "has") else name

    assert asked.endswith(f" Ana {rest}?")
    assert asked.split()[1] in ("is", "was", "has")
    assert " I's " not in question(Fact("user", name, "x"))


@pytest.mark.parametrize("name", OPEN)
def test_what_may_be_a_participle_or_a_past_is_quoted(name: str) -> None:
    """No letter tells "located near" from "moved towards", so neither is put into a sentence that only fits the other."""
    assert f'"{name}"' in question(Fact("Ana", name, "x"))


@pytest.mark.parametrize("subject", ["Ana", "user", "user's sister"])
@pytest.mark.parametrize("name", [*NOMINALS[::7], *PLURALS[::5], *DOING[::5], *BEING[::5], *OPEN[::5], "has cat"])
def test_whatever_a_relation_is_it_has_keys_and_held_out_probes(name: str, subject: str) -> None:
    made = phrase(Fact(subject, name, "Porto"))

    assert isinstance(made, Phrased)
    assert len(made.paraphrases) >= 4
    assert len(made.probes) >= 2
    text = " ".join((made.question, *made.paraphrases, *made.probes))
    assert not [bad for bad in ("does I", "is I ", "is I?", "user", "I's", "{", "[", "do Ana") if bad in text]


@pytest.mark.parametrize(
    ("fact", "asked"),
    [
        (Fact("Acme", "seat", "Porto"), "Where is Acme headquartered?"),
        (Fact("LH 442", "seat", "14A"), "What is the seat of LH 442?"),
        (Fact("the flight to Oslo", "seat", "aisle"), "What is the seat of the flight to Oslo?"),
        (Fact("Ana", "seat", "14A"), "What is the seat of Ana?"),
        (Fact("room 12", "number", "1207"), "What is the number of room 12?"),
        (Fact("Ana", "number", "0151 2345 678"), "What is Ana's phone number?"),
        (Fact("the server", "location", "Frankfurt"), "What is the location of the server?"),
        (Fact("Ana", "location", "Frankfurt"), "Where does Ana live?"),
        (Fact("the manual", "language", "English"), "What is the language of the manual?"),
        (Fact("Ana", "language", "English"), "Which language does Ana speak?"),
        (Fact("the order", "state", "shipped"), "What is the state of the order?"),
        (Fact("Porto", "state", "Portugal"), "In which country is Porto?"),
        (Fact("the parcel", "origin", "China"), "What is the origin of the parcel?"),
        (Fact("the lesson", "subject", "algebra"), "What is the subject of the lesson?"),
        (Fact("the engine", "head", "cracked"), "What is the head of the engine?"),
        (Fact("the invoice", "company", "Acme"), "What is the company of the invoice?"),
        (Fact("the printer", "phone", "+44 20 7946 0000"), "What is the printer's phone number?"),
    ],
)
def test_a_short_name_means_what_fits_its_subject_and_value(fact: Fact, asked: str) -> None:
    """A template is for its own words, and for another name of the relation only where subject and value are of its kind."""
    assert question(fact) == asked
