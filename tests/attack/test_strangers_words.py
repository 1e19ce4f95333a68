"""Nobody's ranking tells what strangers wrote: rows, scores and reasons are the same bits whatever others write, reword or forget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Scope
from agentmem.notes.clock import ManualClock
from agentmem.stores.text.text import TextIndex

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WORDS = "harbour Porto cello strings garden Ana Delgado rain coat the of and tea 1234 don't naïve 日本語".split()
QUESTIONS = (
    "Where is the harbour of Porto?",
    "Ana Delgado",
    "cello strings and rain",
    "Who wears a coat in the garden 1234?",
    "日本語 naïve tea",
)
TEXT = st.one_of(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=10).map(" ".join),
    st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=30).filter(
        str.strip
    ),
    st.lists(st.sampled_from(WORDS), min_size=200, max_size=250).map(" ".join),
)
WHO = st.sampled_from([Scope(user="ben"), Scope(user="carl"), Scope(agent="bot")])
OURS = st.tuples(st.just("ana"), TEXT, st.sampled_from([None, "s", "t"]))
THEIRS = st.one_of(
    st.tuples(st.just("write"), TEXT, WHO, st.sampled_from([None, "s", "t"])),
    st.tuples(st.just("update"), TEXT, st.integers(0, 9)),
    st.tuples(st.just("forget"), st.integers(0, 9)),
    st.tuples(st.just("record"), TEXT, WHO),
)
PROGRAM = st.lists(st.one_of(OURS, THEIRS, THEIRS), min_size=1, max_size=14)


class Everybody(TextIndex):
    """The leak that this harness is there for: what a word is worth is told by the notes of all owners."""

    def search(self, tx, words, owners, limit, rows=None, near=None, again=None):
        with tx.as_job():  # else the guard of the transaction would stop it
            found = super().search(tx, words, tx.notes.all_owners(), 10_000, rows, near, again)
            mine = {row for owner in owners for row in tx.text.batch(owner, 0, 10_000).rows.tolist()}
        return [pair for pair in found if pair[0] in mine][:limit]


class World:
    """One memory in which Ana and others live; what others do may be left out."""

    def __init__(self, memory: Memory, clock: ManualClock) -> None:
        self._memory, self._clock = memory, clock
        self.numbers: dict[str, int] = {}
        self._theirs: list[tuple[str, Scope]] = []

    def ours(self, text: str, session: str | None) -> None:
        self._clock.advance(minutes=1)
        receipt = self._memory.remember(text, user="ana", session=session)
        if receipt.id is not None:
            self.numbers.setdefault(receipt.id, len(self.numbers))

    def theirs(self, verb: str, *values: Any) -> None:
        """What a stranger does; the clock stands still meanwhile."""
        memory = self._memory
        if verb == "write":
            text, who, session = values
            receipt = memory.remember(text, user=who.user, agent=who.agent, session=session)
            if receipt.id is not None and (receipt.id, who) not in self._theirs:  # equal words are one note
                self._theirs.append((receipt.id, who))
        elif verb == "record":
            text, who = values
            memory.experience.record(text, text, text, 1.0, None, user=who.user, agent=who.agent)
        elif self._theirs:
            id, who = self._theirs[values[-1] % len(self._theirs)]
            if verb == "update":
                memory.update(id, values[0], user=who.user, agent=who.agent)
            else:
                memory.forget(id, user=who.user, agent=who.agent)
                self._theirs.remove((id, who))

    def seen(self) -> list[object]:
        """All that Ana's requests tell, with her notes by number: every bit of every score and reason."""
        found: list[object] = []
        for question in QUESTIONS:
            hits = self._memory.recall(question, k=8, user="ana")
            found += [
                (self.numbers[h.note.id], h.score, dict(h.reasons), [self.numbers[v] for v in h.via], h.passage)
                for h in hits
            ]
            found += [
                str(self._memory.why_not(question, id, k=1, user="ana")).replace(id, "")
                for id in list(self.numbers)[:2]
            ]
        return found


@contextmanager
def world(index: Callable[[Any], TextIndex]) -> Iterator[World]:
    clock = ManualClock(START)
    with Memory(None, embedder="hash", clock=clock) as memory:
        memory._parts.core.text = index(memory._parts.core.store)
        yield World(memory, clock)


def breaches(program: list[Any], index: Callable[[Any], TextIndex] = TextIndex) -> list[str]:
    """Where Ana can tell whether the others are there, and what they just did."""
    found = []
    with world(index) as alone, world(index) as among:
        for verb, *values in program:
            if verb == "ana":
                alone.ours(*values)
                among.ours(*values)
                continue
            before = among.seen()
            among.theirs(verb, *values)
            if among.seen() != before:
                found.append(f"{verb} {values!r:.80} changed what Ana sees")
        if alone.seen() != among.seen():
            found.append("Ana sees something else than she would alone")
    return found


@settings(max_examples=25, deadline=None)
@given(PROGRAM)
def test_what_strangers_do_changes_no_bit(program) -> None:
    """Rows, scores, reasons and ways are those of a memory in which nobody else writes, before and after every act of others."""
    assert breaches(program) == []


@pytest.mark.slow
@settings(max_examples=1_500, deadline=None)
@given(PROGRAM)
def test_what_strangers_do_changes_no_bit_at_length(program) -> None:
    assert breaches(program) == []


PROBE = [
    ("ana", "The harbour of Porto lies in the rain.", None),
    ("ana", "Her coat is in the garden, near the harbour.", None),
    ("write", "harbour harbour harbour", Scope(user="ben"), None),
    ("forget", 0),
]


def test_statistics_over_all_owners_would_be_found_out() -> None:
    """The null control: with one count of words for everybody, a single word of a stranger's shows in every score."""
    assert breaches(PROBE) == []
    assert len(breaches(PROBE, Everybody)) >= 2


def test_a_small_tenant_is_ranked_by_its_own_words() -> None:
    """A word that a tenant's notes all have tells them apart by little, however rare it is elsewhere; and the other way round."""
    with Memory(None, embedder="hash") as memory:
        memory.remember_many(
            [f"Invoice number {i} of the harbour" for i in range(9)] + ["Invoice for a cello"], user="ana"
        )
        core = memory._parts.core

        def scores() -> dict[str, float]:
            with core.store.read() as tx:
                owner = tx.notes.owner(Scope(user="ana"))
                return {word: core.text.search(tx, [word], (1, owner), 1)[0][1] for word in ("invoice", "cello")}

        alone = scores()
        memory.remember_many([f"The cello has string {i}" for i in range(300)], user="ben")

        assert scores() == alone
    assert alone["cello"] > 5 * alone["invoice"]
