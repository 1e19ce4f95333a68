"""The server itself shows a transaction nobody else's rows, whatever a query says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from agentmem.errors import AgentMemError, ScopeBreach
from agentmem.notes.filters import parse
from agentmem.notes.note import Fact, MemoryState, Note, Scope
from agentmem.notes.rows import Selection
from agentmem.notes.tables import LEDGER, LINK, META, NOTE, PACK, TABLES, Among
from agentmem.records.transaction import NoteStore
from agentmem.stores.postgres.connection import TENANT
from agentmem.stores.postgres.store import PostgresStore
from agentmem.stores.sqlite.store import SqliteStore
from tests.attack.wild_filters import wild_filter

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ANA, BEN = Scope(user="ana"), Scope(user="ben")


def fill(store: NoteStore, rng: random.Random, count: int = 60) -> dict[str, int]:
    """Notes of two people, of every kind of value that a filter may ask for; returns their owners."""
    owners = {}
    with store.write() as tx:
        for number in range(count):
            scope = rng.choice([ANA, BEN])
            scope = Scope(scope.user, rng.choice([None, "cook"]), rng.choice([None, "monday"]))
            moment = NOW + timedelta(minutes=rng.randrange(1000))
            note = Note(
                id=f"note-{number}", content=rng.choice(["a", "the work", "1=1 ' é", "x \0 y", "Is it? so", "why?"]), scope=scope,
                occurred_at=moment, created_at=NOW + timedelta(minutes=number), state=MemoryState(1.0, 5.0, NOW), kind=rng.choice(["semantic", "episodic"]),
                actor=rng.choice([None, "user"]), importance=rng.random(), source=rng.choice([None, "the"]), context=rng.choice(["", "work"]),
                tags=tuple(rng.sample(["a", "the", "work", "'"], rng.randrange(3))), archived_at=rng.choice([None, NOW]),
                metadata={"a": rng.choice([1, 1.5, True, "work", None, 2**80, ["a"], "\0"]), "mark": "é"} if rng.random() < 0.7 else {},
                facts=(Fact("Ilva", "lives in", rng.choice(["a", "work"])),) if rng.random() < 0.5 else (),
            )  # fmt: skip
            owner = tx.notes.owner(scope, create=True)
            assert owner is not None
            owners[str(scope.user)] = owner
            row = tx.notes.insert(note, owner, note.content.encode())
            tx.text.put(row, owner, note.content, "")
    return owners


@pytest.fixture
def store(server: Any, new_schema: Callable[[], str]) -> Iterator[PostgresStore]:
    opened = PostgresStore(server.url(), schema=new_schema())
    yield opened
    opened.close()


def test_who_does_not_say_for_whom_sees_nothing(store: PostgresStore, server: Any) -> None:
    """Of every table of somebody's, under the role that the store works with; with an owner named, that owner's rows alone."""
    owners = fill(store, random.Random(1))
    with psycopg.connect(server.url()) as bare:
        bare.execute(f'SET search_path TO "{store._db.schema}"')
        bare.execute(f"SET ROLE {TENANT}")
        for table in TABLES:
            if not table.free:
                assert bare.execute(f'SELECT count(*) FROM "{table.name}"').fetchone() == (0,), table.name
        bare.execute("SELECT set_config('agentmem.owners', %s, false)", (str(owners["ana"]),))
        assert bare.execute("SELECT DISTINCT owner FROM note").fetchall() == [(owners["ana"],)]
        assert bare.execute("SELECT count(*) FROM words WHERE abs(owner) <> %s", (owners["ana"],)).fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            bare.execute("INSERT INTO tombstone VALUES (%s, 'x', 1)", (owners["ben"],))


def test_a_query_that_forgot_its_owner_is_given_none_of_anothers(store: PostgresStore) -> None:
    """Below the guard of the package: the tables as a bound transaction has them, asked for everything."""
    owners = fill(store, random.Random(2))
    with store.write() as tx:
        mine = tx.tables.admitting(frozenset({owners["ana"]}))
        assert {row[0] for row in mine.find(NOTE, {}, columns=("owner",), order=())} == {owners["ana"]}
        assert mine.change(NOTE, {"owner": owners["ben"]}, {"importance": 0.0}) == 0
        assert mine.delete(NOTE, {"owner": owners["ben"]}) == 0
        assert mine.count(LINK, {}) == 0
        theirs = tx.tables.find(NOTE, {"owner": owners["ben"]}, order=(), limit=1)
        assert theirs
        with pytest.raises(ScopeBreach), store.write() as part:
            part.tables.admitting(frozenset({owners["ana"]})).put(
                LEDGER, [(None, 1, "x", None, None, "{}", owners["ben"])]
            )
        assert tx.tables.count(NOTE, {}) == 60


def test_a_role_without_rights_over_others_is_guarded_as_well(server: Any, new_schema: Callable[[], str]) -> None:
    """It owns the tables and may make no other role: the rules are forced on their owner."""
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute("CREATE ROLE plain LOGIN")
        admin.execute("CREATE DATABASE plain OWNER plain")
    store = PostgresStore(server.url("plain", "plain"), schema=new_schema())
    try:
        assert not store._db.tenant
        owners = fill(store, random.Random(3))
        with store.write() as tx:
            mine = tx.tables.admitting(frozenset({owners["ben"]}))
            assert {row[0] for row in mine.find(NOTE, {}, columns=("owner",), order=())} == {owners["ben"]}
            assert mine.delete(NOTE, {"owner": owners["ana"]}) == 0
            tx.notes.delete([tx.tables.find(NOTE, {"owner": owners["ben"]}, columns=("id",), limit=1)[0][0]])
        assert store.check() == []
    finally:
        store.close()


@pytest.mark.parametrize("seed", range(6))
def test_hostile_filters_ask_the_same_of_both_stores(store: PostgresStore, seed: int) -> None:
    """Nested, wrong, full of SQL: of PostgreSQL and of SQLite the same notes, and of its owner alone."""
    rng = random.Random(seed)
    beside = SqliteStore()
    owners = fill(store, random.Random(seed))
    assert fill(beside, random.Random(seed)) == owners
    asked = 0
    with store.read() as tx, beside.read() as other:
        for _ in range(120):
            try:
                where = parse(wild_filter(rng, ["ana", "ben", "note-3"]))
            except AgentMemError:
                continue
            owner = rng.choice(list(owners.values()))
            of = rng.choice([(owner,), tuple(owners.values())])
            selection = Selection(
                of,
                where=where,
                archived=rng.random() < 0.5,
                closed=rng.random() < 0.5,
                agent=rng.choice([None, "cook"]),
            )
            for order in ("created", "-occurred", "row"):
                limit, offset = rng.choice([(None, 0), (7, 0)] + ([(5, 3)] if order != "row" else []))
                given = {"order": order, "limit": limit, "offset": offset}
                found = tx.tables.select(selection, **given)
                assert found == other.tables.select(selection, **given), where
            assert tx.tables.count_selected(selection) == other.tables.count_selected(selection)
            among = rng.sample(range(1, 61), 20)
            chosen = tx.tables.select(selection, among=among)
            assert chosen == other.tables.select(selection, among=among)
            whose = tx.tables.find(NOTE, {"id": Among(chosen)}, columns=("owner",), order=())
            assert {each for (each,) in whose} <= set(of)
            asked += 1
    beside.close()
    assert asked > 60


def test_what_says_nothing_of_anybody_is_open_to_all(store: PostgresStore) -> None:
    """A request asks it behind the same guard."""
    with store.write() as tx:
        tx.tables.put(PACK, [("grace", 1, None, 1)])
        tx.admit((1,))
        assert tx.meta_get("words") == "porter 1"
        assert tx.tables.count(META, {}) > 0
