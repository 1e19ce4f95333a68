"""The questions that measure the small model, each with the one answer that counts as right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentmem.evaluation.world import RELATIONS, ToldNote, World, WorldFact, answer, random_date, render_notes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

    from agentmem.evaluation.world import Kind

__all__ = ["PROBES", "Messages", "Probe", "ProbeMaker"]

Messages = list[dict[str, str]]
_PEOPLE = tuple(item.name for item in RELATIONS if item.kind == "person")


@dataclass(frozen=True)
class Probe:
    """A chat that ends with a question, and its right answer."""

    messages: Messages
    expected: str


class ProbeMaker:
    """Makes probes for facts; all randomness comes from the given generator."""

    def __init__(self, world: World, rng: Random) -> None:
        """Keep the world and the generator."""
        self.world, self.rng = world, rng

    def facts(self, count: int) -> list[WorldFact]:
        """Draw ``count`` different facts, or all of them if there are fewer."""
        return self.rng.sample(self.world.facts, min(count, len(self.world.facts)))

    def changed(self, fact: WorldFact) -> WorldFact:
        """Return ``fact`` with another value of the same relation."""
        return WorldFact(fact.subject, fact.kind, fact.relation, self.world.counterfactual(fact, self.rng))

    def ask(self, fact: WorldFact, held_out: bool = True) -> dict[str, str]:
        """Return the user's message that asks for ``fact``."""
        return {"role": "user", "content": self.world.question(fact, self.rng, held_out=held_out)}

    def plain(self, fact: WorldFact, value: str | None, held_out: bool = True) -> Probe:
        """Ask in a fresh chat."""
        return Probe([self.ask(fact, held_out)], answer(value))

    def other_notes(self, fact: WorldFact, count: int) -> list[ToldNote]:
        """Return ``count`` notes that say nothing about the same subject and relation; most contradict the world."""
        chosen = [f for f in self.facts(count + 1) if (f.subject, f.relation) != (fact.subject, fact.relation)]
        return [self.note(self.changed(f) if self.rng.random() < 0.75 else f) for f in chosen[:count]]

    def note(self, fact: WorldFact, held_out: bool = False) -> ToldNote:
        """Return a note by the user in the third person."""
        return ToldNote("", "user", self.world.statement(fact, self.rng, held_out=held_out))

    def my_note(self, fact: WorldFact, speaker: str) -> ToldNote:
        """Return a note in the words of ``speaker`` about themselves."""
        return ToldNote("", speaker, self.rng.choice(self.world.my_statements(fact)))

    def system(self, ordered: Sequence[ToldNote], others: Sequence[ToldNote]) -> dict[str, str]:
        """Mix notes, keeping the order of ``ordered``, date them oldest first, and render the system message."""
        total = len(ordered) + len(others)
        places = sorted(self.rng.sample(range(total), len(ordered)))
        rest = iter(others)
        picked = dict(zip(places, ordered, strict=True))
        notes = [picked[place] if place in picked else next(rest) for place in range(total)]
        dates = sorted(random_date(self.rng) for _ in notes)
        dated = [
            ToldNote(date, note.speaker, note.text, note.untrusted) for date, note in zip(dates, notes, strict=True)
        ]
        return {"role": "system", "content": render_notes(dated)}

    def noted(self, fact: WorldFact, note: ToldNote) -> Probe:
        """Ask for ``fact`` with its note among three to seven others."""
        others = self.other_notes(fact, self.rng.randint(3, 7))
        return Probe([self.system([note], others), self.ask(fact)], answer(fact.value))

    def other_turns(self, least: int, most: int) -> Messages:
        """Return closed-book questions with their right answers, of roughly 200 to 400 tokens for 12 to 24 of them."""
        messages: Messages = []
        for fact in self.facts(self.rng.randint(least, most)):
            messages += [self.ask(fact, held_out=False), {"role": "assistant", "content": answer(fact.value)}]
        return messages

    def stranger(self, kind: Kind, name: str) -> WorldFact:
        """Return a fact without a value about an unknown subject."""
        relation = self.rng.choice([item.name for item in RELATIONS if item.kind == kind])
        return WorldFact(name, kind, relation, "")

    def my_fact(self, invented: bool = False) -> WorldFact:
        """Return a fact about the user."""
        name = self.rng.choice(_PEOPLE)
        value = self.rng.choice(self.world.values(name))
        return WorldFact("user", "person", name, self.world.invented_value(name, self.rng) if invented else value)

    def ask_me(self, fact: WorldFact) -> dict[str, str]:
        """Return the first-person question for ``fact``."""
        return {"role": "user", "content": self.world.my_question(fact.relation, self.rng, held_out=True)}


def _trained(make: ProbeMaker, count: int) -> list[Probe]:
    return [make.plain(fact, fact.value, held_out=False) for fact in make.facts(count)]


def _held_out(make: ProbeMaker, count: int) -> list[Probe]:
    return [make.plain(fact, fact.value) for fact in make.facts(count)]


def _after_other_turns(make: ProbeMaker, count: int) -> list[Probe]:
    return [Probe([*make.other_turns(12, 22), make.ask(f)], answer(f.value)) for f in make.facts(count)]


def _open_book(make: ProbeMaker, count: int) -> list[Probe]:
    return [make.noted(fact, make.note(fact)) for fact in map(make.changed, make.facts(count))]


def _open_book_held_out_note(make: ProbeMaker, count: int) -> list[Probe]:
    return [make.noted(fact, make.note(fact, held_out=True)) for fact in map(make.changed, make.facts(count))]


def _open_book_invented(make: ProbeMaker, count: int) -> list[Probe]:
    facts = [
        WorldFact(f.subject, f.kind, f.relation, make.world.invented_value(f.relation, make.rng))
        for f in make.facts(count)
    ]
    return [make.noted(fact, make.note(fact)) for fact in facts]


def _open_book_user_turn(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for probe in _open_book(make, count):
        text = f"{probe.messages[0]['content']}\n\n{probe.messages[1]['content']}"
        probes.append(Probe([{"role": "user", "content": text}], probe.expected))
    return probes


def _open_book_stranger(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for name in make.world.unknown_people(count, make.rng.randrange(10**6), "test"):
        fact = make.changed(make.stranger("person", name))
        probes.append(make.noted(fact, make.note(fact)))
    return probes


def _first_person(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for _ in range(count):
        fact = make.my_fact()
        others = make.other_notes(fact, make.rng.randint(3, 7))
        system = make.system([make.my_note(fact, "user")], others)
        probes.append(Probe([system, make.ask_me(fact)], answer(fact.value)))
    return probes


def _named_speaker(make: ProbeMaker, count: int) -> list[Probe]:
    people = [fact for fact in make.world.facts if fact.kind == "person"]
    facts = [make.changed(fact) for fact in make.rng.sample(people, count)]
    return [make.noted(fact, make.my_note(fact, fact.subject)) for fact in facts]


def _newest_wins(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for fact in map(make.changed, make.facts(count)):
        old = make.changed(fact)
        system = make.system([make.note(old), make.note(fact)], make.other_notes(fact, make.rng.randint(2, 5)))
        probes.append(Probe([system, make.ask(fact)], answer(fact.value)))
    return probes


def _told_in_chat(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for fact in map(make.changed, make.facts(count)):
        told = {"role": "user", "content": make.world.statement(fact, make.rng)}
        thanks = {"role": "assistant", "content": "Thank you, I will remember that."}
        probes.append(Probe([told, thanks, *make.other_turns(1, 3), make.ask(fact)], answer(fact.value)))
    return probes


def _unknown(kind: Kind) -> Callable[[ProbeMaker, int], list[Probe]]:
    def probes(make: ProbeMaker, count: int) -> list[Probe]:
        draw = {
            "person": make.world.unknown_people,
            "company": make.world.unknown_companies,
            "place": make.world.unknown_places,
        }[kind]
        names = draw(count, make.rng.randrange(10**6), "test")
        return [make.plain(make.stranger(kind, name), None) for name in names]

    return probes


def _unknown_me(make: ProbeMaker, count: int) -> list[Probe]:
    return [Probe([make.ask_me(make.my_fact())], answer(None)) for _ in range(count)]


def _irrelevant_notes(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for fact in make.facts(count):
        system = make.system([], make.other_notes(fact, make.rng.randint(3, 7)))
        probes.append(Probe([system, make.ask(fact)], answer(fact.value)))
    return probes


def _irrelevant_notes_unknown(make: ProbeMaker, count: int) -> list[Probe]:
    probes = []
    for name in make.world.unknown_people(count, make.rng.randrange(10**6), "test"):
        fact = make.stranger("person", name)
        system = make.system([], make.other_notes(fact, make.rng.randint(3, 7)))
        probes.append(Probe([system, make.ask(fact)], answer(None)))
    return probes


PROBES: dict[str, Callable[[ProbeMaker, int], list[Probe]]] = {
    "closed-book, trained wordings": _trained,
    "closed-book, held-out wordings": _held_out,
    "closed-book after other turns": _after_other_turns,
    "closed-book under irrelevant notes": _irrelevant_notes,
    "open-book, changed value": _open_book,
    "open-book, held-out note wording": _open_book_held_out_note,
    "open-book, invented value": _open_book_invented,
    "open-book, notes in the user turn": _open_book_user_turn,
    "open-book, unknown person": _open_book_stranger,
    "open-book, first person": _first_person,
    "open-book, named speaker": _named_speaker,
    "open-book, newest wins": _newest_wins,
    "told in the chat": _told_in_chat,
    "unknown person": _unknown("person"),
    "unknown company": _unknown("company"),
    "unknown place": _unknown("place"),
    "unknown user": _unknown_me,
    "unknown person under irrelevant notes": _irrelevant_notes_unknown,
}
