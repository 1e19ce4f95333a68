"""After any program of verbs, what was asked and answered has words of notes that are there and say so, and of nothing else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentmem.integrations import ChatAgent
from agentmem.llm.clients import as_language_model
from agentmem.notes.protocols import Message
from agentmem.notes.tables import EVIDENCE
from agentmem.records.evidence import MOST_WORDINGS, EvidenceRows
from agentmem.stores.sqlite.misfits import misfits
from tests.property.test_rebuilding import NAMES, PLACES, USERS, Program

MARK = re.compile(r"\bmark\d+x")


def repeating(messages: list[Message]) -> str:
    """A model that repeats what it is shown, as far as it is about Ana."""
    lines = [line for message in messages for line in message["content"].splitlines() if MARK.search(line)]
    return " ".join(line for line in lines if "Ana" in line)[:600] or "I do not know."


class Asking(Program):
    """Also questions to a model that repeats its prompt, chats, shared notes, and files with what was asked that come back. Each note and each
    question has a mark of its own, so that of every word it is known where it came from.
    """

    def __init__(self, directory: Path, seed: int) -> None:
        super().__init__(directory, seed)
        self.memory._parts.llm = as_language_model(repeating)
        self.marks = 0

    def verbs(self) -> tuple[Callable[[], None], ...]:
        asking = (self.ask, self.chat, self.chat, self.reinforce)
        return (*super().verbs(), *asking * 3, self.share, self.restore)

    def text(self) -> str:
        self.marks += 1
        return f"{self.rng.choice(NAMES)} lives in {self.rng.choice(PLACES)}, mark{self.marks}x."

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.clock.advance(seconds=60)
            self.rng.choice(self.verbs())()
            held = {user: {note.id for note in self.memory.notes(user=user)} for user in USERS}
            self.ids = [(id, user) for user in USERS for id in sorted(held[user])]

    def ask(self) -> None:
        self.memory.ask(f"Where does {self.rng.choice(NAMES)} live?", user=self.rng.choice(USERS))

    def chat(self) -> None:
        self.marks += 1
        agent = ChatAgent(None, self.memory, user=self.rng.choice(USERS), session="chat")
        agent.chat(f"Where does {self.rng.choice(NAMES)} live, by mark{self.marks}x?")

    def reinforce(self) -> None:
        user = self.rng.choice(USERS)
        mine = [id for id, whose in self.ids if whose == user]
        used = self.rng.sample(mine, min(3, len(mine)))
        said = " ".join(self.memory.get(id, user=user).content for id in used)
        self.memory.reinforce(
            used, user=user, question=f"Where is {self.rng.choice(NAMES)}?", answer=said or "Nowhere."
        )

    def share(self) -> None:
        self.memory.remember(self.text())

    def restore(self) -> None:
        """One's own file of an earlier day: what was forgotten or reworded since stays so."""
        user = self.rng.choice(USERS)
        path = self.directory / f"{self.seed}-{user}.jsonl"
        if path.exists():
            self.memory.load_export(path, user=user)
        self.memory.export(path, user=user, evidence=True)


def unfounded(program: Program) -> list[str]:
    """Marks in questions that no note of their owner has, or had, and in answers that none of their notes has now; and halves of evidence."""
    core = program.memory._parts.core
    found: list[str] = []
    with core.store.read() as tx:
        rows = tx.notes.select_all()
        notes, owners = tx.notes.load(rows), tx.notes.owners_of(rows)
        for owner in tx.notes.all_owners():
            own = {
                m
                for row in rows
                if owners[row] == owner
                for v in tx.notes.history(row)
                for m in MARK.findall(v.content)
            }
            for asked in tx.evidence.of(owner):
                told = {mark for row in asked.rows for mark in MARK.findall(notes[row].content)}
                found += [f"{asked}: {mark}" for mark in set(MARK.findall(asked.question)) - own]
                found += [
                    f"{asked}: {mark}"
                    for mark in set(MARK.findall(asked.answer)) - told - set(MARK.findall(asked.question))
                ]
        under = Counter(tx.tables.find(EVIDENCE, {}, columns=("row", "owner")))
        found += [f"{count} under {place}" for place, count in under.items() if count > MOST_WORDINGS]
        return found + [each for each in misfits(core.store._db) if "questions" in each]


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 150))]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Callable[[int], Asking]]:
    made: list[Asking] = []

    def one(seed: int) -> Asking:
        made.append(Asking(tmp_path, seed))
        return made[-1]

    yield one
    for each in made:
        each.memory.close()
        each.other.close()


@pytest.mark.parametrize("seed", SEEDS)
def test_no_evidence_outlives_its_words(begin: Callable[[int], Asking], seed: int) -> None:
    """Asked, chatted, reinforced, reworded, forgotten, exported and brought back, in any order."""
    program = begin(seed)
    for _ in range(4):
        program.run(15)
        assert unfounded(program) == []

    assert program.memory.check(deep=True).ok


@pytest.mark.slow
@pytest.mark.parametrize("guard", ["delete", "delete_repeating"])
def test_without_taking_it_along_the_programs_find_evidence_of_what_is_gone(
    begin: Callable[[int], Asking], guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The null control: with either half of the deletion switched off, words of what was forgotten or reworded are found."""
    monkeypatch.setattr(EvidenceRows, guard, lambda *_: 0)
    found = 0
    for seed in range(4):
        program = begin(seed)
        program.run(40)
        found += bool(unfounded_safely(program))

    assert found


def unfounded_safely(program: Program) -> list[str]:
    """Where notes are gone from under a question, that alone is a finding."""
    try:
        return unfounded(program)
    except KeyError as gone:
        return [f"note {gone} is gone"]
