"""Chats over notes of any shape: what is noted, what is asked, and what the right answer is."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from agentmem.evaluation.world import ToldNote, answer, random_date
from benchmarks.small_model import layouts, wording
from benchmarks.small_model.corpus import ANSWER, MYSELF, SILENT, Stated, Turn
from benchmarks.small_model.shapes.deeds import DeedsWriter
from benchmarks.small_model.shapes.notes import Told, Writer
from benchmarks.small_model.shapes.strangers import StrangersNotes

__all__ = ["Sources", "Style", "make_chat"]

_CORRECTED = ("Correction: {}", "From now on: {}", "Update: {}", "It changed: {}", "As of today, {}", "{}", "{}", "{}")
_OVER = ("This is no longer true: {}", "Not any more: {}", "Forget this, it is over: {}")


@dataclass(frozen=True)
class Style:
    """How a chat is made.

    Attributes:
        notes: Fewest and most notes.
        questions: Fewest and most questions.
        strange: Share of the notes that strangers wrote.
        done: Share of the others that tell what was done by whom.
        table: Share of the chats whose notes are all of one shape.
        unknown: Share of the questions that no note answers.
        renewed: Share of the chats in which one matter is told again with another value.
        copied: Share of the chats that only practise saying a value after somebody.
    """

    notes: tuple[int, int] = (1, 6)
    questions: tuple[int, int] = (3, 8)
    strange: float = 0.25
    done: float = 0.6
    table: float = 0.25
    unknown: float = 0.27
    renewed: float = 0.2
    copied: float = 0.08


@dataclass
class Sources:
    """Where notes come from."""

    writer: Writer
    strangers: StrangersNotes
    deeds: DeedsWriter

    def note(self, rng: Random, strange: float, done: float = 0.0) -> Told:
        """Draw a note of one of the kinds."""
        if rng.random() < strange:
            return self.strangers.note(rng)
        return self.deeds.note(rng) if rng.random() < done else self.writer.note(rng)


@dataclass
class _Chat:
    sources: Sources
    style: Style
    rng: Random
    told: dict[tuple[str, str], Told] = field(default_factory=dict)
    over: set[tuple[str, str]] = field(default_factory=set)
    lines: list[tuple[Told, str]] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    pending: str = ""
    stated: tuple[Stated, ...] = ()

    def notes(self) -> list[Told]:
        """Draw the notes of the block, no two of which contradict each other."""
        count = self.rng.randint(*self.style.notes)
        first = self._drawn()
        chosen = {first.key: first}
        table = first.beside if self.rng.random() < self.style.table else None
        for _ in range(4 * count):
            if len(chosen) >= count:
                break
            other = table(self.rng) if table else self._drawn()
            known = {fact.value for note in chosen.values() for fact in note.facts}
            keys = {fact.key for note in chosen.values() for fact in note.facts}
            if known.isdisjoint(fact.value for fact in other.facts) and keys.isdisjoint(f.key for f in other.facts):
                chosen[other.key] = other
        return list(chosen.values())

    def _drawn(self) -> Told:
        return self.sources.note(self.rng, self.style.strange, self.style.done)

    def open(self) -> None:
        """Put the notes into the system message, before the first question, or say them one by one."""
        notes = self.notes()
        self.lines = [(note, note.text) for note in notes]
        again = [note for note in notes if note.again is not None]
        if again and self.rng.random() < self.style.renewed:
            self._renew(self.rng.choice(again))
        for note, _ in self.lines:
            self.told.update({fact.key: fact for fact in note.facts})
        draw = self.rng.random()
        if draw < 0.12 and len(self.lines) <= 3:
            self._say_notes()
            return
        dates = sorted(random_date(self.rng) for _ in self.lines)
        # Who says "I" is the user, whose notes these are.
        mine = self.style.strange or any(note.key[0] == "me" for note, _ in self.lines)
        speaker = MYSELF if mine or self.rng.random() < 0.5 else self.rng.choice(("assistant", "note"))
        noted = [ToldNote(date, speaker, text) for date, (_, text) in zip(dates, self.lines, strict=True)]
        block = layouts.render(noted, self.rng)
        stated = tuple(self._stated(note, text) for note, text in self.lines)
        if draw < 0.3:
            self.pending, self.stated = f"{block}\n\n", stated
            return
        if self.rng.random() < 0.2:
            block = f"{self.rng.choice(wording.PERSONAS)}\n\n{block}"
        self.turns.append(Turn("system", block, SILENT, stated))

    def _renew(self, old: Told) -> None:
        """Have a matter told again later: with another value, or as over."""
        assert old.again is not None
        at = next(i for i, (note, _) in enumerate(self.lines) if note is old)
        later = self.rng.randint(at + 1, len(self.lines))
        if self.rng.random() < 0.15:
            self.over.update(fact.key for fact in old.facts)
            self.lines.insert(later, (old, self.rng.choice(_OVER).format(old.text)))
            return
        new = old.again(self.rng)
        self.lines.insert(later, (new, self.rng.choice(_CORRECTED).format(new.text)))

    def _stated(self, note: Told, text: str) -> Stated:
        mine = note.key[0] == "me"
        also = tuple((fact.key, fact.value) for fact in note.also)
        return Stated(note.key, text, MYSELF if mine else note.name, note.value, also)

    def _say_notes(self) -> None:
        for note, text in self.lines:
            self.turns.append(Turn("user", text, SILENT, (self._stated(note, text),)))
            self.turns.append(Turn("assistant", self.rng.choice(wording.ACKNOWLEDGEMENTS), SILENT))

    def ask(self) -> None:
        """Ask for one of the notes, or for what none of them tells."""
        note = self.told[self.rng.choice(list(self.told))]
        asked = (note.elsewhere if self.rng.random() < self.style.unknown else note.asks)(self.rng)
        answers = None if asked.key in self.over else self.told.get(asked.key)
        key = asked.key if answers else ("", "")
        mine = asked.key[0] == "me"
        self._turn(asked.text, answers.value if answers else None, MYSELF if mine else asked.named, key)

    def _turn(self, question: str, value: str | None, named: str, sought: tuple[str, str]) -> None:
        said, self.pending = self.pending + question, ""
        stated, self.stated = self.stated, ()
        self.turns.append(Turn("user", said, SILENT, stated, named))
        self.turns.append(Turn("assistant", answer(value), ANSWER, sought=sought))

    def copy(self) -> None:
        """Have a value of any kind said again."""
        for _ in range(self.rng.randint(1, 5)):
            if self.rng.random() < 0.4:
                text = self.sources.note(self.rng, 0.3).value
            else:
                text = self.sources.writer.words.forms(self.rng, 3, 12)
            self.turns.append(Turn("user", self.rng.choice(wording.REPEAT) + text, SILENT))
            self.turns.append(Turn("assistant", text, ANSWER, copied=True))


def make_chat(sources: Sources, style: Style, rng: Random) -> list[Turn]:
    """Build one chat."""
    chat = _Chat(sources, style, rng)
    if rng.random() < style.copied:
        chat.copy()
        return chat.turns
    chat.open()
    for _ in range(rng.randint(*style.questions)):
        chat.ask()
    return chat.turns
