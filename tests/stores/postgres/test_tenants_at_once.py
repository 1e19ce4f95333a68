"""Several people's calls at the same moment, in any order: each result has what its caller may see, as it is now, and nothing that was forgotten."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from agentmem import Memory
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import UnknownNote
from agentmem.notes.note import Note
from agentmem.stores.postgres.store import PostgresStore

NOUNS = "house dog plan trip boat recipe song doctor key garden".split()
USERS = ("ana", "ben", "cleo", "dora")
MARKS = {user: f"zq{user}qz" for user in USERS}  # stands in all of somebody's words, and in nobody else's


class Person:
    """One thread of a user's calls, which knows what it wrote and what anybody of the same user has forgotten for good."""

    def __init__(self, memory: Memory, user: str, rng: Random, gone: set[str], folder: Path) -> None:
        self.memory, self.user, self.rng, self.gone, self.folder = memory, user, rng, gone, folder
        self.mine: dict[str, str] = {}  # nobody else rewords or forgets these
        self.seen = 0

    def words(self) -> str:
        return f"The {self.rng.choice(NOUNS)} {MARKS[self.user]} of {self.user} has number {self.rng.randrange(10**9)}."

    def query(self) -> str:
        """Also in the words of others."""
        return f"{self.rng.choice(NOUNS)} number {MARKS[self.rng.choice(USERS)]}"

    def look(self, notes: list[Note], *, gone: set[str]) -> None:
        """``gone``: what had been forgotten before the call began."""
        self.seen += len(notes)
        for note in notes:
            assert note.scope.user == self.user
            assert note.id not in gone
            if note.id in self.mine:
                assert note.content == self.mine[note.id]
        self.silent(" ".join(note.content for note in notes))

    def silent(self, text: str) -> None:
        for user, mark in MARKS.items():
            assert user == self.user or mark not in text

    def step(self) -> None:
        what = self.rng.choice(STEPS if self.mine else [remember])
        try:
            what(self, set(self.gone))
        except UnknownNote as error:  # of a note that another thread has forgotten meanwhile
            self.silent(str(error))


def remember(person: Person, gone: set[str]) -> None:
    text = person.words()
    receipt = person.memory.remember(text, user=person.user)
    assert receipt.id not in gone
    person.mine[receipt.id] = text


def recall(person: Person, gone: set[str]) -> None:
    hits = person.memory.recall(person.query(), user=person.user, k=person.rng.choice([1, 5, 50]))
    person.look([hit.note for hit in hits], gone=gone)


def recall_mine(person: Person, gone: set[str]) -> None:
    """What was written is found at once, in the words that it has now."""
    id = person.rng.choice(sorted(person.mine))
    hits = person.memory.recall(person.mine[id], user=person.user, k=5)
    person.look([hit.note for hit in hits], gone=gone)
    assert id in {hit.note.id for hit in hits}


def update(person: Person, gone: set[str]) -> None:
    id, text = person.rng.choice(sorted(person.mine)), person.words()
    person.memory.update(id, text, user=person.user)
    person.mine[id] = text
    assert person.memory.get(id, user=person.user).content == text
    versions = person.memory.history(id, user=person.user)
    person.silent(" ".join(version.content or "" for version in versions))


def forget(person: Person, gone: set[str]) -> None:
    id = person.rng.choice(sorted(person.mine))
    text = person.mine.pop(id)
    receipt = person.memory.forget(id, user=person.user)
    person.gone.add(id)
    assert all(receipt.probes.values())
    assert id not in {hit.note.id for hit in person.memory.recall(text, user=person.user, k=50)}
    with pytest.raises(UnknownNote):
        person.memory.get(id, user=person.user)


def export(person: Person, gone: set[str]) -> None:
    path = person.folder / f"{threading.get_ident()}.jsonl"
    person.memory.export(path, user=person.user)
    text = path.read_text(encoding="utf-8")
    person.silent(text)
    assert not [id for id in gone if f'"{id}"' in text]
    assert all(f'"{id}"' in text for id in person.mine)


def evidence(person: Person, gone: set[str]) -> None:
    id = person.rng.choice(sorted(person.mine))
    person.memory.reinforce(
        id, user=person.user, question=f"What of {MARKS[person.user]}?", answer=f"{MARKS[person.user]} it is"
    )
    for each in person.memory.evidence(user=person.user):
        assert each.scope.user == person.user
        assert not set(each.notes) & gone
        person.silent(str(each))


def link(person: Person, gone: set[str]) -> None:
    if len(person.mine) < 2:
        return
    a, b = person.rng.sample(sorted(person.mine), 2)
    person.memory.link(a, b, user=person.user, reason=MARKS[person.user])
    view = person.memory.graph(user=person.user, around=a)
    assert b in view
    assert not set(view) & gone
    person.silent(str(dict(view.nodes(data=True))))


def notes(person: Person, gone: set[str]) -> None:
    found = person.memory.notes(user=person.user)
    person.look(found, gone=gone)
    assert set(person.mine) <= {note.id for note in found}


def strangers_note(person: Person, gone: set[str]) -> None:
    """What is named by an id of somebody else is unknown, whoever forgot or kept it."""
    others = [id for id in person.gone if id not in person.mine]
    if others:
        with pytest.raises(UnknownNote):
            person.memory.get(person.rng.choice(others), user=person.user)


STEPS: list[Callable[[Person, set[str]], None]] = [
    remember, remember, remember, recall, recall, recall, recall_mine, recall_mine, update, forget, export, evidence, link, notes, strangers_note,
]  # fmt: skip


@pytest.fixture
def memory(server: Any, new_schema: Callable[[], str]) -> Iterator[Memory]:
    store = PostgresStore(server.url(), schema=new_schema(), readers=3)
    with Memory(None, store=store, embedder=HashEmbedder()) as opened:
        yield opened


@pytest.mark.parametrize("seed", range(3))
def test_nobody_meets_anothers_words_or_what_was_forgotten(memory: Memory, tmp_path: Path, seed: int) -> None:
    """Four people, two threads each, more threads than readers: every verb, in an order that nobody chose; behind it nothing is damaged."""
    gone: set[str] = set()
    people = [
        Person(memory, user, Random(f"{seed} {user} {number}"), gone, tmp_path) for user in USERS for number in range(2)
    ]

    def run(person: Person) -> int:
        for _ in range(25):
            person.step()
        return person.seen

    with ThreadPoolExecutor(len(people)) as pool:
        seen = list(pool.map(run, people))
    assert sum(seen) > 100
    assert gone
    assert not memory.check().problems
    for person in people:
        assert set(person.mine) <= {note.id for note in memory.notes(user=person.user)}
