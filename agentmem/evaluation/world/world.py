"""A small generated world: people, companies and places with facts that no other text contains."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Literal
from zlib import crc32

from agentmem.errors import InvalidArgument
from agentmem.evaluation.world import names, text
from agentmem.evaluation.world.companies import COMPANY_RELATIONS
from agentmem.evaluation.world.people import PERSON_RELATIONS
from agentmem.evaluation.world.places import PLACE_RELATIONS
from agentmem.evaluation.world.relations import Kind, WorldRelation
from agentmem.evaluation.world.values import VALUE_LISTS, invented_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["DEFAULT_SEED", "RELATIONS", "Split", "World", "WorldFact", "relation"]

DEFAULT_SEED = 2026
RELATIONS: tuple[WorldRelation, ...] = PERSON_RELATIONS + COMPANY_RELATIONS + PLACE_RELATIONS

Split = Literal["train", "test"]

_COUNTS: dict[Kind, int] = {"person": 290, "company": 110, "place": 110}
_MAKERS: dict[Kind, Callable[[Random], str]] = {
    "person": names.person_name,
    "company": names.company_name,
    "place": names.place_name,
}
_IN_VAIN = 10_000
"""Names drawn without a new one among them, after which there are no more."""
_BY_NAME = {item.name: item for item in RELATIONS}


def relation(name: str) -> WorldRelation:
    """Return the relation called ``name``.

    Raises:
        KeyError: No relation has this name.
    """
    return _BY_NAME[name]


@dataclass(frozen=True)
class WorldFact:
    """One fact: ``subject`` has ``value`` for ``relation``."""

    subject: str
    kind: Kind
    relation: str
    value: str


def _invent(maker: Callable[[Random], str], count: int, rng: Random, taken: set[str]) -> list[str]:
    """Return ``count`` fresh names and add them to ``taken``."""
    made: list[str] = []
    while len(made) < count:
        name = maker(rng)
        if name not in taken:
            taken.add(name)
            made.append(name)
    return made


def _split(name: str) -> Split:
    # The checksum decides, so that membership needs no list and no seed.
    return "test" if crc32(name.encode()) % 4 == 0 else "train"


def _spread(values: Sequence[str], count: int, rng: Random) -> list[str]:
    """Return ``count`` values in random order, each used about equally often."""
    deck: list[str] = []
    while len(deck) < count:
        deck.extend(rng.sample(values, len(values)))
    deck = deck[:count]
    rng.shuffle(deck)
    return deck


class World:
    """Subjects, their facts, and the wordings to tell and to ask for them.

    Build one with `World.generate`; the same seed gives the same world everywhere.
    """

    def __init__(self, facts: Iterable[WorldFact]) -> None:
        """Keep ``facts`` and index them by subject and relation."""
        self.facts: tuple[WorldFact, ...] = tuple(facts)
        self._index = {(fact.subject, fact.relation): fact for fact in self.facts}
        values: dict[str, dict[str, None]] = {}
        subjects: dict[Kind, dict[str, None]] = {kind: {} for kind in _COUNTS}
        for fact in self.facts:
            values.setdefault(fact.relation, {})[fact.value] = None
            subjects[fact.kind][fact.subject] = None
        self._values: Mapping[str, tuple[str, ...]] = {name: tuple(items) for name, items in values.items()}
        self._subjects: Mapping[Kind, tuple[str, ...]] = {kind: tuple(items) for kind, items in subjects.items()}
        self._names = {name for group in self._subjects.values() for name in group} | {
            fact.value for fact in self.facts
        }

    @classmethod
    def generate(cls, seed: int = DEFAULT_SEED) -> World:
        """Generate the world of ``seed``."""
        rng = Random(seed)
        taken: set[str] = set()
        subjects = {kind: _invent(_MAKERS[kind], count, rng, taken) for kind, count in _COUNTS.items()}
        facts: list[WorldFact] = []
        for item in RELATIONS:
            owners = subjects[item.kind]
            values = cls._draw_values(item.name, subjects, rng, taken)
            facts += [WorldFact(s, item.kind, item.name, v) for s, v in zip(owners, values, strict=True)]
        return cls(facts)

    @staticmethod
    def _draw_values(name: str, subjects: Mapping[Kind, list[str]], rng: Random, taken: set[str]) -> list[str]:
        count = len(subjects[_BY_NAME[name].kind])
        if name in ("founder", "mayor"):
            return _invent(names.person_name, count, rng, taken)
        pool = subjects["company"] if name == "employer" else VALUE_LISTS[name]
        return _spread(pool, count, rng)

    def subjects(self, kind: Kind | None = None) -> tuple[str, ...]:
        """Return the names of all subjects, or of those of one kind."""
        if kind is not None:
            return self._subjects[kind]
        return tuple(name for group in self._subjects.values() for name in group)

    def fact(self, subject: str, relation_name: str) -> WorldFact | None:
        """Return the fact of ``subject`` for a relation, or None."""
        return self._index.get((subject, relation_name))

    def facts_about(self, subject: str) -> tuple[WorldFact, ...]:
        """Return all facts of ``subject``; empty when the world does not know it."""
        found = (self._index.get((subject, item.name)) for item in RELATIONS)
        return tuple(fact for fact in found if fact is not None)

    def values(self, relation_name: str) -> tuple[str, ...]:
        """Return the values that occur for a relation."""
        return self._values[relation_name]

    def questions(self, fact: WorldFact, *, held_out: bool = False) -> list[str]:
        """Return every wording of the question for ``fact``."""
        cores = _BY_NAME[fact.relation].all_questions(held_out)
        leads = text.LEAD_INS.pick(held_out)
        return [self._ask(core, lead, fact) for core in cores for lead in leads]

    def question(self, fact: WorldFact, rng: Random, *, held_out: bool = False) -> str:
        """Return one random wording of the question for ``fact``; half of them have no lead-in."""
        core = rng.choice(_BY_NAME[fact.relation].all_questions(held_out))
        lead = rng.choice(text.LEAD_INS.pick(held_out)) if rng.random() < 0.5 else ""
        return self._ask(core, lead, fact)

    def my_questions(self, relation_name: str, *, held_out: bool = False) -> list[str]:
        """Return every first-person wording, such as ``Where do I live?``."""
        cores = _BY_NAME[relation_name].all_my_questions(held_out)
        leads = text.LEAD_INS.pick(held_out)
        return [text.lead_in(lead, core, keep_capital=False) for core in cores for lead in leads]

    def my_question(self, relation_name: str, rng: Random, *, held_out: bool = False) -> str:
        """Return one random first-person question; half of them have no lead-in."""
        core = rng.choice(_BY_NAME[relation_name].all_my_questions(held_out))
        lead = rng.choice(text.LEAD_INS.pick(held_out)) if rng.random() < 0.5 else ""
        return text.lead_in(lead, core, keep_capital=False)

    def statements(self, fact: WorldFact, *, held_out: bool = False) -> list[str]:
        """Return every third-person statement of ``fact``."""
        templates = _BY_NAME[fact.relation].all_statements(held_out)
        return [text.fill(template, fact.subject, fact.value) for template in templates]

    def statement(self, fact: WorldFact, rng: Random, *, held_out: bool = False) -> str:
        """Return one random third-person statement of ``fact``."""
        template = rng.choice(_BY_NAME[fact.relation].all_statements(held_out))
        return text.fill(template, fact.subject, fact.value)

    def my_statements(self, fact: WorldFact) -> list[str]:
        """Return every statement of ``fact`` in the words of its subject; empty unless a person."""
        return [text.fill(template, "", fact.value) for template in _BY_NAME[fact.relation].all_my_statements()]

    def counterfactual(self, fact: WorldFact, rng: Random) -> str:
        """Return another value that ``fact`` could have had, drawn from the same relation."""
        pool = self._values[fact.relation]
        while True:
            value = rng.choice(pool)
            if value != fact.value:
                return value

    def invented_value(self, relation_name: str, rng: Random) -> str:
        """Return a made-up value for a relation that does not occur in the world."""
        while True:
            value = invented_value(relation_name, rng)
            if value not in self._names:
                return value

    def unknown_name(self, kind: Kind, rng: Random, split: Split = "train") -> str:
        """Return one name the world does not contain; the splits never share a name."""
        while True:
            name = _MAKERS[kind](rng)
            if name not in self._names and _split(name) == split:
                return name

    def namesake(self, name: str, rng: Random) -> str:
        """Return another person's name that shares the given or the family name: one of the world, or of the train split."""
        given, _, family = name.partition(" ")
        known = [
            other for other in self.subjects("person") if other != name and {given, family} & set(other.split(" "))
        ]
        if known and rng.random() < 0.5:
            return rng.choice(known)
        while True:
            first, last = self.unknown_name("person", rng).split(" ")
            made = rng.choice((f"{given} {last}", f"{first} {family}"))
            if made != name and (made in self._names or _split(made) == "train"):
                return made

    def unknown_people(self, n: int, seed: int, split: Split = "train") -> list[str]:
        """Return ``n`` different names of people that the world does not contain.

        Raises:
            InvalidArgument: There are not so many.
        """
        return self._unknown("person", n, seed, split)

    def unknown_companies(self, n: int, seed: int, split: Split = "train") -> list[str]:
        """Return ``n`` different names of companies that the world does not contain."""
        return self._unknown("company", n, seed, split)

    def unknown_places(self, n: int, seed: int, split: Split = "train") -> list[str]:
        """Return ``n`` different names of places that the world does not contain."""
        return self._unknown("place", n, seed, split)

    def _unknown(self, kind: Kind, n: int, seed: int, split: Split) -> list[str]:
        rng = Random(seed)
        found: dict[str, None] = {}
        in_vain = 0
        while len(found) < n:
            before = len(found)
            found[self.unknown_name(kind, rng, split)] = None
            in_vain = in_vain + 1 if len(found) == before else 0
            if in_vain > _IN_VAIN:
                raise InvalidArgument(
                    f"There are only {len(found):,} names of the kind {kind!r} besides the world's, not {n:,}.",
                    hint="ask for fewer, or use the same names for several users.",
                )
        return list(found)

    @staticmethod
    def _ask(core: str, lead: str, fact: WorldFact) -> str:
        # The value never stands in a question; the subject decides whether its first letter must stay a capital.
        return text.lead_in(lead, text.fill(core, fact.subject, ""), keep_capital=core.startswith("{s}"))
