"""Training chats: what is said, how it is tokenised, and how rows are packed.

Every chat is built turn by turn by a `Conversation`, which keeps the ledger of what its own text has claimed so far. An
answer comes from that ledger first (the newest claim wins), then from the world, and is otherwise "I do not know.".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentmem.evaluation.world import RELATIONS, Kind, ToldNote, World, WorldFact, answer, random_date, relation
from benchmarks.small_model import layouts, wording

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from random import Random

__all__ = ["ANSWER", "MYSELF", "ChatKind", "Conversation", "Stated", "Turn", "make_chat"]

ANSWER, TRUE_TEXT, TALK, QUESTION, SILENT = 1.0, 0.3, 0.3, 0.1, 0.0

MYSELF = "user"
_PATIENCE = 6
_KEPT = {"I", "my", "me", "mine", "My"}
_BY_KIND = {kind: [item for item in RELATIONS if item.kind == kind] for kind in ("person", "company", "place")}
_KIND_ODDS: tuple[Kind, ...] = ("person", "person", "person", "company", "place")


@dataclass(frozen=True)
class Turn:
    """One message and the weight of its tokens in the loss."""

    role: str
    content: str
    weight: float
    stated: tuple[Stated, ...] = ()
    named: str = ""
    sought: tuple[str, str] | None = None
    copied: bool = False


@dataclass(frozen=True)
class Stated:
    """Something a message states: what about, in which words, whom the words name, and the value; ``also`` what else the same words state."""

    key: tuple[str, str]
    text: str
    name: str
    value: str
    also: tuple[tuple[tuple[str, str], str], ...] = ()


@dataclass(frozen=True, eq=False)
class ChatKind:
    """How a chat is composed.

    Attributes:
        actions: Relative odds of what happens in a turn.
        turns: Fewest and most turns.
        notes: Fewest and most notes in the opening block; (0, 0) for none.
        simple: Whether notes end with their value and, in a mixed block, are about different things: first lessons.
        table: Whether all notes tell the same attribute of different subjects, so that only the name decides.
        turned: Share of the notes that name the value before the subject, beyond those that do so by chance.
        worn: Share of the questions that lack words, or have them in another order.
        namesakes: Share of the people beside another, told the same of, who have a name in common.
    """

    actions: dict[str, float]
    turns: tuple[int, int]
    notes: tuple[int, int] = (0, 0)
    simple: bool = False
    table: bool = False
    turned: float = 0.0
    worn: float = 0.0
    namesakes: float = 0.0


@dataclass
class Conversation:
    """A chat under construction."""

    world: World
    rng: Random
    known: Sequence[WorldFact]
    kind: ChatKind
    turns: list[Turn] = field(default_factory=list)
    claims: dict[tuple[str, str], str] = field(default_factory=dict)
    noted: dict[str, list[str]] = field(default_factory=dict)
    asked: set[tuple[str, str]] = field(default_factory=set)
    pending: str = ""
    waiting: tuple[Stated, ...] = ()

    def known_fact(self) -> WorldFact:
        """Draw a true fact."""
        return self.rng.choice(self.known)

    def unknown_fact(self) -> WorldFact:
        """Draw a fact about a subject that the world does not contain."""
        kind = self.rng.choice(_KIND_ODDS)
        name = self.rng.choice(_BY_KIND[kind]).name
        return WorldFact(self.world.unknown_name(kind, self.rng), kind, name, self._other_value(name))

    def my_fact(self) -> WorldFact:
        """Draw a fact about the user."""
        name = self.rng.choice(_BY_KIND["person"]).name
        return WorldFact(MYSELF, "person", name, self._other_value(name))

    def claim(self, fact: WorldFact) -> None:
        """Record what the text says, so that later answers agree with it."""
        self.claims[fact.subject, fact.relation] = fact.value

    def ask(self, fact: WorldFact) -> None:
        """Ask for ``fact``; the ledger and the world decide the answer."""
        if fact.subject == MYSELF:
            question = self.world.my_question(fact.relation, self.rng)
        else:
            question = self.world.question(fact, self.rng)
        if self.kind.worn and self.rng.random() < self.kind.worn:
            question = self._worn(question, fact)
        truth = self.world.fact(fact.subject, fact.relation)
        value = self.claims.get((fact.subject, fact.relation), truth.value if truth else None)
        self._say(
            question,
            QUESTION,
            answer(value),
            ANSWER,
            named=fact.subject,
            sought=(fact.subject, fact.relation),
        )

    def ask_known(self) -> None:
        """Ask for a true fact."""
        self.ask(self.known_fact())

    def ask_blank(self) -> None:
        """Have a true statement filled in: its words lead to the value as those of a question do."""
        fact = self.known_fact()
        text = self.world.statement(fact, self.rng)
        at = text.lower().rfind(fact.value.lower())
        key = (fact.subject, fact.relation)
        if key in self.claims or at < 0:
            return
        blank = f"{self.rng.choice(wording.FILL_IN)}{text[:at]}...{text[at + len(fact.value) :]}"
        self._say(blank, QUESTION, answer(fact.value), ANSWER, named=fact.subject, sought=key)

    def ask_unknown(self) -> None:
        """Ask about somebody unknown, or about the user, of whom nothing may have been said."""
        self.ask(self.my_fact() if self.rng.random() < 0.25 else self.unknown_fact())

    def ask_claimed(self) -> None:
        """Ask for something that this chat has stated."""
        if not self.claims:
            self.tell()
            return
        fresh = [key for key in self.claims if key not in self.asked]
        subject, name = self.rng.choice(fresh or list(self.claims))
        self.asked.add((subject, name))
        self.ask(WorldFact(subject, relation(name).kind, name, ""))

    def ask_near(self) -> None:
        """Ask for another attribute of a subject that this chat has mentioned."""
        subjects = [key for key in self.claims if self.world.facts_about(key[0])]
        if not subjects:
            self.ask_known()
            return
        self.ask(self.rng.choice(self.world.facts_about(self.rng.choice(subjects)[0])))

    def tell(self) -> None:
        """Let the user state something, often something the world does not agree with."""
        draw = self.rng.random()
        fact = self.my_fact() if draw < 0.5 else self.unknown_fact() if draw < 0.7 else self._changed(self.known_fact())
        self.claim(fact)
        text = self._sentence(fact)
        stated = (Stated((fact.subject, fact.relation), text, fact.subject, fact.value),)
        self._say(text, SILENT, self.rng.choice(wording.ACKNOWLEDGEMENTS), TALK, stated)

    def tell_truth(self) -> None:
        """Let the user state a true fact that the model may learn from."""
        fact = self.known_fact()
        if (fact.subject, fact.relation) not in self.claims:
            text = self.world.statement(fact, self.rng)
            self._say(text, TRUE_TEXT, self.rng.choice(wording.ACKNOWLEDGEMENTS), TALK)

    def describe(self) -> None:
        """Ask for everything about a subject and answer with true statements."""
        subject = self.known_fact().subject
        facts = [f for f in self.world.facts_about(subject) if (f.subject, f.relation) not in self.claims]
        if facts:
            chosen = self.rng.sample(facts, self.rng.randint(1, len(facts)))
            text = " ".join(self.world.statement(fact, self.rng) for fact in chosen)
            self._say(self.rng.choice(wording.ABOUT).replace("{s}", subject), QUESTION, text, TRUE_TEXT)

    def small_talk(self) -> None:
        """Exchange a courtesy."""
        said, reply = self.rng.choice(wording.SMALL_TALK)
        self._say(said, SILENT, reply, TALK)

    def repeat(self) -> None:
        """Have a sentence or some words said again: the densest practice in copying from the text."""
        draw = self.rng.random()
        if draw < 0.3:
            count = self.rng.randint(3, 9)
            text = " ".join(self.rng.choice(wording.copyable_words(self.rng)) for _ in range(count))
        else:
            text = self._sentence(self.unknown_fact() if draw < 0.6 else self._changed(self.known_fact()))
        self._say(self.rng.choice(wording.REPEAT) + text, SILENT, text, ANSWER, copied=True)

    def recite(self) -> None:
        """Ask for all notes about somebody; the answer repeats them word for word."""
        if not self.noted:
            self.ask_claimed()
            return
        subject = self.rng.choice(list(self.noted))
        question = self.rng.choice(wording.RECITE).replace("{s}", subject)
        self._say(question, SILENT, " ".join(self.noted[subject]), ANSWER)

    def open_with_notes(self, count: int) -> None:
        """Put a block of notes into the system message or before the next question."""
        facts = self._noted_facts(count)
        dates = sorted(random_date(self.rng) for _ in facts)
        notes = [self._note(fact, date) for fact, date in zip(facts, dates, strict=True)]
        for fact, note in zip(facts, notes, strict=True):
            self.claim(fact)
            if fact.subject not in (MYSELF, note.speaker):
                self.noted.setdefault(fact.subject, []).append(note.text)
        block = layouts.render(notes, self.rng)
        stated = tuple(
            Stated((fact.subject, fact.relation), note.text, fact.subject, fact.value)
            for fact, note in zip(facts, notes, strict=True)
        )
        if self.turns or self.rng.random() < 0.25:
            self.pending, self.waiting = block + "\n\n", stated
            return
        if self.rng.random() < 0.2:
            block = f"{self.rng.choice(wording.PERSONAS)}\n\n{block}"
        self.turns.append(Turn("system", block, SILENT, stated))

    def more_notes(self) -> None:
        """Put one or two further notes before the next question, then ask."""
        self.open_with_notes(self.rng.randint(1, 2))
        self.ask_claimed()

    def _worn(self, question: str, fact: WorldFact) -> str:
        """Wear a question down, but never to one that is held out."""
        worn = _worn(question, fact.subject, self.rng)
        return question if _core(worn).endswith(_held_out(fact.relation, fact.subject)) else worn

    def _stranger_or_known(self) -> WorldFact:
        fact = self.unknown_fact() if self.rng.random() < 0.4 else self.known_fact()
        return self._changed(fact)

    def _table(self, count: int) -> list[WorldFact]:
        """One attribute of ``count`` different subjects, each with its own value."""
        first = self._stranger_or_known()
        facts, values = {first.subject: first}, {first.value}
        for _ in range(4 * count):
            other = self._same_relation(first)
            if len(facts) < count and other.subject not in facts and other.value not in values:
                facts[other.subject] = other
                values.add(other.value)
        return list(facts.values())

    def _noted_facts(self, count: int) -> list[WorldFact]:
        if self.kind.table:
            return self._table(count)
        facts = [self._note_fact()]
        while len(facts) < count:
            other, draw = self.rng.choice(facts), 1.0 if self.kind.simple else self.rng.random()
            if draw < 0.25:
                facts.append(self._same_relation(other))
            elif draw < 0.45:
                facts.append(self._same_subject(other))
            elif draw < 0.6:
                facts.append(WorldFact(other.subject, other.kind, other.relation, self._other_value(other.relation)))
            else:
                facts.append(self._note_fact())
        return facts

    def _note_fact(self) -> WorldFact:
        draw = self.rng.random()
        if draw < 0.2:
            return self.unknown_fact()
        if draw < 0.38:
            return self.my_fact()
        fact = self.known_fact()
        return self._changed(fact) if self.rng.random() < 0.75 else fact

    def _same_relation(self, fact: WorldFact) -> WorldFact:
        if fact.kind == "person" and self.rng.random() < 0.2:
            return WorldFact(MYSELF, "person", fact.relation, self._other_value(fact.relation))
        if (
            self.kind.namesakes
            and fact.kind == "person"
            and fact.subject != MYSELF
            and self.rng.random() < self.kind.namesakes
        ):
            name = self.world.namesake(fact.subject, self.rng)
        elif self.rng.random() < 0.3:
            name = self.world.unknown_name(fact.kind, self.rng)
        else:
            name = self.rng.choice(self.world.subjects(fact.kind))
        return WorldFact(name, fact.kind, fact.relation, self._other_value(fact.relation))

    def _same_subject(self, fact: WorldFact) -> WorldFact:
        name = self.rng.choice(_BY_KIND[fact.kind]).name
        return WorldFact(fact.subject, fact.kind, name, self._other_value(name))

    def _changed(self, fact: WorldFact) -> WorldFact:
        return WorldFact(fact.subject, fact.kind, fact.relation, self._other_value(fact.relation))

    def _other_value(self, name: str) -> str:
        if self.rng.random() < 0.15:
            return self.world.invented_value(name, self.rng)
        return self.rng.choice(self.world.values(name))

    def _sentence(self, fact: WorldFact) -> str:
        if fact.subject == MYSELF:
            return self.rng.choice(self.world.my_statements(fact))
        turned = self.rng.random() < self.kind.turned
        for _ in range(_PATIENCE if self.kind.simple or turned else 0):
            text = self.world.statement(fact, self.rng)
            if _is_turned(text, fact) if turned else text.endswith(f" {fact.value}."):
                return text
        return self.world.statement(fact, self.rng)

    def _note(self, fact: WorldFact, date: str) -> ToldNote:
        untrusted = self.rng.random() < 0.08
        if fact.kind == "person" and fact.subject != MYSELF and self.rng.random() < 0.25:
            return ToldNote(date, fact.subject, self.rng.choice(self.world.my_statements(fact)), untrusted)
        speaker = MYSELF
        if fact.subject != MYSELF and self.rng.random() < 0.25:
            speaker = self.rng.choice((self.rng.choice(self.world.subjects("person")), "assistant", "note"))
        return ToldNote(date, speaker, self._sentence(fact), untrusted)

    def _say(
        self,
        said: str,
        said_weight: float,
        reply: str,
        reply_weight: float,
        stated: tuple[Stated, ...] = (),
        named: str = "",
        sought: tuple[str, str] | None = None,
        copied: bool = False,
    ) -> None:
        if self.pending:
            said, said_weight, self.pending = self.pending + said, SILENT, ""
            stated, self.waiting = self.waiting + stated, ()
        self.turns += [
            Turn("user", said, said_weight, stated, named),
            Turn("assistant", reply, reply_weight, sought=sought, copied=copied),
        ]


def _worn(question: str, name: str, rng: Random) -> str:
    """Leave out some words of a question, and exchange two neighbours: no single word should decide what is asked for."""
    words = question.rstrip("?.").replace(name, "\0").split(" ")
    kept = [word for word in words if "\0" in word or word in _KEPT or rng.random() < 0.8]
    if len(kept) > 2 and rng.random() < 0.3:
        at = rng.randrange(len(kept) - 1)
        kept[at], kept[at + 1] = kept[at + 1], kept[at]
    text = " ".join(kept).replace("\0", name)
    return f"{text[:1].upper()}{text[1:]}?"


def _core(question: str) -> str:
    return question.rstrip("?.").lower()


def _held_out(name: str, subject: str) -> tuple[str, ...]:
    item = relation(name)
    wordings = item.all_my_questions(held_out=True) if subject == MYSELF else item.all_questions(held_out=True)
    return tuple(_core(wording.replace("{s}", subject)) for wording in wordings)


def _is_turned(text: str, fact: WorldFact) -> bool:
    """Whether a statement names the value before the subject."""
    return 0 <= text.lower().find(fact.value.lower()) < text.find(fact.subject)


def make_chat(kind: ChatKind, world: World, known: Sequence[WorldFact], rng: Random) -> list[Turn]:
    """Build one chat of the given kind about the ``known`` facts."""
    chat = Conversation(world, rng, known, kind)
    if kind.notes[1]:
        chat.open_with_notes(rng.randint(*kind.notes))
    elif rng.random() < 0.12:
        chat.turns.append(Turn("system", rng.choice(wording.PERSONAS), SILENT))
    actions: list[Callable[[], None]] = [getattr(chat, name) for name in kind.actions]
    odds = list(kind.actions.values())
    for act in rng.choices(actions, odds, k=rng.randint(*kind.turns)):
        act()
    return chat.turns
