"""What happens in the demo: three conversations, an address book, a web page, and questions that must not change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random

from agentmem.evaluation.world import World, WorldFact

__all__ = [
    "ADDRESS_BOOK", "SECRET", "SESSIONS", "START", "STRANGER", "USER", "Contact", "Story", "StoryTurn", "make_story",
]  # fmt: skip

USER, STRANGER = "mara", "ben"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ADDRESS_BOOK = 66
_SEED = 11

_WORDS = {
    "home_city": ("{s} lives in {v}.", "Where does {s} live?"),
    "occupation": ("{s} works as {a} {v}.", "What does {s} do for a living?"),
    "hobby": ("{s}'s hobby is {v}.", "What is {ps} hobby?"),
    "favourite_food": ("{s}'s favourite food is {v}.", "What is {ps} favourite food?"),
    "instrument": ("{s} plays the {v}.", "What instrument does {s} play?"),
}


@dataclass(frozen=True, slots=True)
class StoryTurn:
    """What the user says, and the word that a right answer holds (``None``: anything polite will do)."""

    text: str
    expect: str | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """A statement of the address book, the question it answers, and a wording that no part of agentmem has seen."""

    statement: str
    question: str
    answer: str
    other_wording: str


@dataclass(frozen=True, slots=True)
class Story:
    """The material: ``late`` is learnt after everything else, and then forgotten."""

    contacts: tuple[Contact, ...]
    known: tuple[Contact, ...]
    unrelated: tuple[str, ...]
    web_page: str
    late: Contact


SESSIONS: tuple[tuple[str, int, tuple[StoryTurn, ...]], ...] = (
    (
        "monday",
        0,
        (
            StoryTurn("Hello!"),
            StoryTurn("I live in Lisbon."),
            StoryTurn("I work as a translator."),
            StoryTurn("Where do I live?", "Lisbon"),
            StoryTurn("My sister lives in Hanoi."),
            StoryTurn("My hobby is pottery."),
        ),
    ),
    (
        "a week later",
        7,
        (
            StoryTurn("What is my hobby?", "pottery"),
            StoryTurn("I live in Bergen."),
            StoryTurn("My favourite food is couscous."),
            StoryTurn("I am allergic to walnuts."),
            StoryTurn("My phone number is +351 912 345 678."),
        ),
    ),
    (
        "three weeks later",
        21,
        (
            StoryTurn("Where do I live?", "Bergen"),
            StoryTurn("What do I work as?", "translator"),
            StoryTurn("What is my favourite food?", "couscous"),
            StoryTurn("Thank you."),
        ),
    ),
)
"""Name, day, and turns of each conversation."""

SECRET = ("The password of my bank is tulip-4711.", ("user", "bank password", "tulip-4711"))


def _contact(subject: str, relation: str, value: str, world: World, rng: Random) -> Contact:
    told, asked = _WORDS[relation]
    article = "an" if value[:1] in "aeiou" else "a"
    fact = WorldFact(subject, "person", relation, value)
    said = told.replace("{s}", subject).replace("{v}", value).replace("{a}", article)
    owner = f"{subject}'" if subject.endswith("s") and not subject.endswith("ss") else f"{subject}'s"
    return Contact(
        said,
        asked.replace("{ps}", owner).replace("{s}", subject),
        value,
        rng.choice(world.questions(fact, held_out=True)),
    )


def address_book(world: World) -> list[Contact]:
    """Statements about people whom the world, and so the model, does not contain."""
    rng = Random(_SEED)
    relations = list(_WORDS)
    people = world.unknown_people(-(-ADDRESS_BOOK // len(relations)), _SEED, "test")
    made = [_contact(name, r, rng.choice(world.values(r)), world, rng) for name in people for r in relations]
    return made[:ADDRESS_BOOK]


def known_people(world: World, count: int = 2) -> list[Contact]:
    """True statements about people whom the model knows by heart: writing them would be waste."""
    rng = Random(_SEED)
    facts = [f for f in world.facts if f.relation == "home_city"]
    return [_contact(f.subject, f.relation, f.value, world, rng) for f in rng.sample(facts, count)]


def unrelated(world: World, count: int = 24) -> list[str]:
    """Questions that nothing here is about: their answers must stay the same, to the letter."""
    rng = Random(_SEED + 1)
    asked = [world.question(fact, rng) for fact in rng.sample(world.facts, count - 4)]
    return [*asked, "Hello!", "How are you?", "Where does Ada Bell live?", "What is the hobby of Ada Bell?"]


def make_story() -> Story:
    """All of it, the same on every machine."""
    world = World.generate()
    contacts = address_book(world)
    doubted = contacts[3]  # a favourite food: the web page says otherwise
    return Story(
        contacts=tuple(contacts),
        known=tuple(known_people(world)),
        unrelated=tuple(unrelated(world)),
        web_page=doubted.statement.replace(doubted.answer, "liquid soap"),
        late=_contact("Ida Sandberg", "instrument", "harp", world, Random(_SEED)),
    )
