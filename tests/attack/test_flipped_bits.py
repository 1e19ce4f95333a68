"""A bit that flips in any value of any table: check() says so, and nobody gets another's note."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from agentmem import Fact, Memory
from agentmem.errors import AgentMemError, StoreCorrupt
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow, EnrichmentRow
from agentmem.stores.sqlite import store as sqlite_store
from tests.attack.flipped import flip, tables

NOT_TOLD = {
    "note": {"stability", "difficulty", "last_review", "recalls"},  # the state of a curve
    "link": {"weight"},  # of one that words make, by less than its rounding
    "use": {"day", "events", "tokens", "last"},
    "vector": {"data"},  # by less than a thousandth, or of a note that is in no sample
    "passage": {"data"},
    "enrichment_source": {"row", "source"},
    "term": {"row"},
    "telling": {"row"},
    "intent": {"owner"},
    "pack": {"method", "version", "at"},
    "outbox": {"seq", "op", "owner", "row"},  # queues, leases and counters
    "lease": {"name", "holder", "until"},
    "vector_change": {"seq", "row", "owner"},
    "words_change": {"seq", "row", "owner"},
    "scrubbed": {"id", "times"},
    "migration": {"number", "name"},
    "meta": {"key", "value"},
}
"""What changes with every use, what can be made again, and what is thrown away: a bit of that may go unnoticed."""


def fill(memory: Memory) -> None:
    """Something in every table."""
    said = (
        "Ana lives in Porto.",
        "Ana likes green tea from Porto.",
        "Bruno plays chess with Ana.",
        "The tea of Bruno is from Kyoto.",
        "Yesterday Bruno lost.",
    )
    ids = [str(receipt.id) for receipt in memory.remember_many(list(said), user="ana@x", session="s", progress=False)]
    memory.remember(
        "Ana lives in Oslo.", user="ana@x", fact=Fact("Ana", "lives in", "Oslo"), valid_from="2027-01-01T00:00:00+00:00"
    )
    memory.remember(
        "The kettle is old.",
        user="ben@x",
        idempotency_key="k",
        actor="ben",
        tags=["home"],
        metadata={"a": 1},
        source="web",
    )
    memory.remember("The oven works.", agent="cook")
    memory.remember("It rains.")
    memory.remember("It is long. " * 200, user="ana@x")
    memory.update(ids[1], "Ana likes black tea from Porto.", user="ana@x")
    memory.link(ids[0], ids[3], "user", reason="I say so", user="ana@x")
    memory.reinforce(ids[:3], user="ana@x", question="What of Ana?", answer="Porto, tea, chess")
    memory.reinforce(ids[0], user="ana@x", agent="cook", question="Where?", answer="Porto")
    memory.forget(str(memory.remember("A secret.", user="ana@x").id), user="ana@x")
    memory.experience.record(
        "tidy", "a cup on the floor", "drop it", -5.5, "a broken cup", user="ana@x", idempotency_key="e"
    )
    memory.experience.record("tidy", "a broken cup", "sweep", 1.5, None, user="ana@x", episode="other")
    with memory._parts.core.store.write() as tx:
        row = tx.notes.rows_of([ids[2]])[ids[2]]
        owner = tx.notes.owners_of([row])[row]
        tx.notes.set_archived([row], 7)
        tx.ledger.put_edit(EditRow("e", ids[2], owner, "grace", "retired", 1, {"prompt": "Where?"}, "old", 5))
        tx.ledger.append(7, "promoted", note_id=ids[2], edit_id="e", details={"score": 1})
        tx.ledger.set_active_pack("grace", None, 4)
        tx.ledger.lease("job", "me", 1, 2)
        tx.enrichment.put(row, EnrichmentRow("before", ("t",), ("k",)), 5)
        tx.enrichment.add_sources(row, [1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Memory, sqlite3.Connection, sqlite3.Connection]]:
    """A memory, a connection that damages it, and another one to a copy that makes it whole again."""
    path = tmp_path_factory.mktemp("flipped") / "m"
    with Memory(path, embedder="hash", clock=ManualClock()) as memory:
        fill(memory)
        assert memory.check(deep=True).ok, memory.check()
        with closing(sqlite3.connect(path / "notes.db")) as hurting, closing(sqlite3.connect(":memory:")) as copy:
            hurting.execute("PRAGMA synchronous = OFF")
            hurting.backup(copy)
            yield memory, hurting, copy
            copy.backup(hurting)


Whole = tuple[Memory, sqlite3.Connection, sqlite3.Connection]


def silent(
    whole: Whole, seed: int, held: dict[str, list[str]], *, deep: bool = False, quick: bool = False
) -> Counter[str]:
    """Flip a bit in each column in turn: which of them nobody told of. Whatever is raised must be typed.

    ``quick``: what the store says of itself is looked at first, and the rest of check() only if that finds nothing.
    """
    memory, hurting, copy = whole
    found: Counter[str] = Counter()
    for table, columns in held.items():
        for column in columns:
            if flip(hurting, table, column, random.Random(f"{table}.{column}.{seed}")) is None:
                continue
            try:
                told = quick and bool(memory._parts.core.store.check())
                told = told or not memory.check(deep=deep).ok
            except AgentMemError:
                continue
            finally:
                copy.backup(hurting)
            if not told:
                found[f"{table}.{column}"] += 1
    return found


def promised(held: dict[str, list[str]]) -> dict[str, list[str]]:
    return {
        table: [column for column in columns if column not in NOT_TOLD.get(table, ())]
        for table, columns in held.items()
    }


def test_every_flipped_bit_of_what_was_written_is_told(whole: Whole) -> None:
    """In every column that is no queue, no counter and no state of a curve: check() names it or raises a typed error, and never breaks."""
    held = tables(whole[2])
    assert {
        "note",
        "note_version",
        "owner",
        "link",
        "experience",
        "experience_step",
        "idempotency",
        "tombstone",
        "edit",
        "ledger",
    } <= set(held)

    assert silent(whole, 1, promised(held), quick=True) == Counter()
    assert whole[0].check(deep=True).ok


def test_check_stands_whatever_is_damaged(whole: Whole) -> None:
    """In any column, sealed or not: a report, or a typed error."""
    every = [(table, column) for table, columns in tables(whole[2]).items() for column in columns]
    for table, column in random.Random(7).sample(every, 40):
        silent(whole, 2, {table: [column]})


@pytest.mark.slow
def test_many_flipped_bits_are_told(whole: Whole) -> None:
    """The same for twenty rounds, and everything is looked at."""
    for seed in range(100, 120):
        silent(whole, seed, tables(whole[2]))
        assert silent(whole, seed, promised(tables(whole[2])), deep=True) == Counter()


def test_without_seals_a_flipped_bit_passes(whole: Whole, monkeypatch: pytest.MonkeyPatch) -> None:
    """The null control: with the comparison of seals switched off, the same bits go unnoticed."""
    monkeypatch.setattr(sqlite_store, "broken", lambda database: [])
    held = {
        "note": ["valid_to", "trust", "reason"],
        "owner": ["user"],
        "link": ["reason"],
        "experience": ["q"],
        "idempotency": ["key"],
        "edit": ["reason"],
    }

    assert set(silent(whole, 1, held)) >= {
        "note.trust",
        "note.reason",
        "experience.q",
        "idempotency.key",
        "edit.reason",
    }


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE note SET valid_to = valid_to + 1048576 WHERE valid_to IS NOT NULL", "note {} is not what was written"),
        ("UPDATE experience SET q = q + 1 WHERE row = (SELECT max(row) FROM experience)", "the value of experience {}"),
        ("UPDATE link SET reason = 'I say no' WHERE reason = 'I say so'", "the link user from note {}"),
        ("UPDATE link SET weight = weight * 0.9999999 WHERE reason = 'I say so'", "the link user from note {}"),
        ("UPDATE note_version SET reason = 'storee' WHERE reason = 'stored'", "version 1 of note {}"),
        ("UPDATE idempotency SET key = 'j' WHERE key = 'k'", "the idempotency key j"),
        ("UPDATE evidence SET answer = 'Lima' WHERE answer = 'Porto'", "a question that was answered from note {}"),
        ("UPDATE owner SET user = 'ana@y' WHERE user = 'ana@x'", "is not who was written"),
        ("UPDATE note SET owner = owner + 1 WHERE id = 1", "note {} is not what was written"),
    ],
)
def test_check_names_what_is_damaged(whole: Whole, sql: str, words: str) -> None:
    """By the id of its note, and by what about it is not what was written."""
    memory, hurting, copy = whole
    known = [id for (id,) in copy.execute("SELECT uid FROM note")]
    try:
        with hurting:
            assert hurting.execute(sql).rowcount
        problems = memory.check().problems
    finally:
        copy.backup(hurting)

    assert any(words.format(id) in problem for problem in problems for id in known), problems


def read(memory: Memory, user: str, ids: Iterable[str]) -> list[str]:
    """All that a user can get to read of these notes, by any way there is."""
    asks: list[Callable[[], Iterable[Any]]] = [
        lambda: memory.notes(user=user),
        lambda: [hit.note for hit in memory.recall("Ana tea Porto", user=user)],
    ]
    for id in ids:
        asks += [lambda id=id: [memory.get(id, user=user)], lambda id=id: memory.history(id, user=user)]  # type: ignore[misc]
    said = []
    for ask in asks:
        with suppress(AgentMemError):
            said += [each.content for each in ask()]
    return said


@pytest.mark.parametrize(
    "sql",
    ["UPDATE owner SET user = 'ana@y' WHERE user = 'ana@x'", "UPDATE owner SET mac = zeroblob(32) WHERE user = 'ana@x'",
     "UPDATE note SET owner = (SELECT id FROM owner WHERE user = 'ben@x') WHERE owner = (SELECT id FROM owner WHERE user = 'ana@x')"],
)  # fmt: skip
def test_no_damage_of_an_owner_hands_a_note_to_another(whole: Whole, sql: str) -> None:
    """Neither the name nor the number of an owner makes one user's notes another's: what does not belong together is a typed error."""
    memory, hurting, copy = whole
    hers = {note.id: note.content for note in memory.notes(user="ana@x") if note.scope.user}
    try:
        with hurting:
            assert hurting.execute(sql).rowcount
        said = [each for user in ("ana@y", "ben@x") for each in read(memory, user, hers) if each in hers.values()]
        with pytest.raises(StoreCorrupt):
            memory.export(memory.path.parent / "all.jsonl", everything=True)  # type: ignore[union-attr]
        report = memory.check()
    finally:
        copy.backup(hurting)

    assert said == []
    assert not report.ok


def test_a_damaged_secret_is_told(tmp_path: Path) -> None:
    """By which every name and everything forgotten is known: with another one everybody would seem to be new."""
    with Memory(tmp_path / "m", embedder="hash") as memory:
        memory.remember("Ana lives in Porto.", user="ana")
    with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as hurting, hurting:
        other = "CASE substr(value, 1, 1) WHEN '0' THEN '1' ELSE '0' END || substr(value, 2)"
        assert hurting.execute(f"UPDATE meta SET value = {other} WHERE key = 'tombstone_key'").rowcount == 1

    with pytest.raises(StoreCorrupt), Memory(tmp_path / "m", embedder="hash") as memory:
        memory.notes(user="ana")


def test_a_damaged_number_of_dimensions_is_told(tmp_path: Path) -> None:
    """A number that is none any more is damage like any other, and no error of Python's."""
    with Memory(tmp_path / "m", embedder="hash") as memory:
        memory.remember("Ana lives in Porto.", user="ana")
    with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as hurting, hurting:
        assert hurting.execute("UPDATE meta SET value = '3<4' WHERE key = 'embedder_dimension'").rowcount == 1

    with pytest.raises(StoreCorrupt), Memory(tmp_path / "m", embedder="hash"):
        pass


@pytest.mark.parametrize(
    ("sql", "read"),
    [
        ("UPDATE note_version SET changed_at = 1 << 62", lambda memory, id: memory.history(id, user="ana")),
        ("UPDATE evidence SET at = 1 << 62", lambda memory, id: memory.evidence(id, user="ana")),
    ],
)
def test_a_stored_time_that_is_none_is_a_typed_error(
    tmp_path: Path, sql: str, read: Callable[[Memory, str], object]
) -> None:
    """Not whatever computing with it raises; and forgetting what is damaged works."""
    with Memory(tmp_path / "m", embedder="hash") as memory:
        id = str(memory.remember("Ana lives in Porto.", user="ana").id)
        memory.update(id, "Ana lives in Oslo.", user="ana")
        memory.reinforce(id, user="ana", question="Where?", answer="Oslo")
        other = str(memory.remember("Ana rows.", user="ana").id)
        with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as hurting, hurting:
            assert hurting.execute(sql).rowcount == 1

        with pytest.raises(StoreCorrupt, match="time"):
            read(memory, id)
        assert memory.forget(other, user="ana").gone
        if "evidence" in sql:
            assert memory.forget(id, user="ana").gone
            assert memory.check().ok
