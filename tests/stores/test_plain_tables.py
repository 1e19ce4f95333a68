"""Plain tables: what stands in a declaration is what a store keeps, and what the guard of every table rests on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from agentmem.errors import ScopeBreach
from agentmem.notes.admission import Admission
from agentmem.notes.engine import Tables
from agentmem.notes.guarded_tables import GuardedTables
from agentmem.notes.note import Scope
from agentmem.notes.tables import NOTE, TABLES, USE, Table
from agentmem.stores.sqlite.connection import Database
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.sqlite.tables import SqliteTables

ANA, BEN = Scope(user="ana"), Scope(user="ben")
OWNED = [table for table in TABLES if not table.free and table is not NOTE]
KEPT = [table for table in OWNED if not table.job]


class Kept:
    """A note of Ana's and one of Ben's, and the bare tables around them."""

    def __init__(self, make: Callable[..., Any], put: Callable[..., int]) -> None:
        self.store = SqliteStore()
        with self.store.write() as tx:
            self.hers, self.his = put(tx, make(1, scope=ANA)), put(tx, make(2, scope=BEN))
            self.ana, self.ben = tx.notes.owner(ANA) or 0, tx.notes.owner(BEN) or 0
            self.tables: Tables = tx.tables
            self.admission: Admission = tx.admission
        self.mine = GuardedTables(self.tables, self.admission)

    def row(self, table: Table, note: int, owner: int, text: str) -> tuple[Any, ...]:
        """A row of a table about a note of an owner; ``text`` tells two rows of one note apart."""
        made: list[Any] = []
        for name, kind in table.columns.items():
            if table.numbered and name == next(iter(table.columns)):
                made.append(None)
            elif name == "owner":
                made.append(owner)
            elif name in table.notes:
                made.append(note)
            elif name in table.ids:
                made.append(f"note-{note:06d}")
            else:
                made.append({int: 7, float: 0.5, bytes: text.encode(), str: text}[kind])
        if table.name == "enrichment":
            made[2] = "done"
        if table.name == "outbox":
            made[1] = "upsert"
        return tuple(made)

    def prepare(self, table: Table) -> None:
        for note in (self.hers, self.his):  # nothing but what the test puts there
            if {"row"} == set(table.notes) and not table.job:
                self.tables.delete(table, {"row": note})
        if table.name == "enrichment_source":
            enriched = next(each for each in TABLES if each.name == "enrichment")
            self.tables.put(enriched, [self.row(enriched, note, 0, "x") for note in (self.hers, self.his)])


@pytest.fixture
def kept(make: Callable[..., Any], put: Callable[..., int]) -> Iterator[Kept]:
    made = Kept(make, put)
    yield made
    made.store.close()


@pytest.fixture
def tables() -> Iterator[SqliteTables]:
    store = SqliteStore()
    with store.write() as tx:
        assert isinstance(tx.tables, SqliteTables)
        yield tx.tables
    store.close()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_declaration_names_every_column_that_the_store_has(table: Table) -> None:
    """A column that is declared nowhere would be sealed, exported and guarded by nobody."""
    own = {"seal"}
    store = SqliteStore()
    database: Database = store._db
    with store.read():
        found = {name for _, name, *_ in database.rows(f"PRAGMA table_info({table.name})")}
    store.close()

    assert found - own == set(table.columns)
    assert set(table.key) | set(table.notes) | set(table.ids) <= set(table.columns)


@pytest.mark.parametrize("table", OWNED, ids=lambda table: table.name)
def test_no_table_hands_out_or_changes_what_is_somebody_elses(kept: Kept, table: Table) -> None:
    """Asked in whatever way, a request finds, counts, changes and removes its own rows alone, or is told that it went too far."""
    asked: list[dict[str, Any]] = [{}, *({name: kept.his} for name in table.notes)]
    asked += [{"owner": kept.ben}] if table.owned else []
    values = {name: None for name in table.columns if name not in table.key}
    about_him = bool({*table.notes, *table.ids})
    with kept.store.write() as tx:
        kept.prepare(table)
        kept.tables.put(table, [kept.row(table, kept.his, kept.ben, "his")])
        before = kept.tables.find(table, {})
        tx.admit((1, kept.ana))
        for where in asked:
            for act in (kept.mine.find, kept.mine.count, kept.mine.delete):
                with contextlib.suppress(ScopeBreach):
                    assert not act(table, where)
            with contextlib.suppress(ScopeBreach):
                assert not values or not kept.mine.change(table, where, values)
        with pytest.raises(ScopeBreach):
            kept.mine.put(table, [kept.row(table, kept.his, kept.ana if about_him else kept.ben, "new")])

        assert kept.tables.find(table, {}) == before


@pytest.mark.parametrize("table", KEPT, ids=lambda table: table.name)
def test_a_request_has_its_own_rows(kept: Kept, table: Table) -> None:
    """The guard narrows; it does not take away what is the request's."""
    with kept.store.write() as tx:
        kept.prepare(table)
        tx.admit((1, kept.ana))
        row = kept.row(table, kept.hers, kept.ana, "hers")
        kept.mine.put(table, [row])
        where: dict[str, Any] = {"owner": kept.ana} if table.owned else {table.notes[0]: kept.hers}

        assert [each[1:] if table.numbered else each for each in kept.mine.find(table, where)] == [
            row[1:] if table.numbered else row
        ]
        assert kept.mine.count(table, where) == 1
        assert kept.mine.delete(table, where) == 1


def test_without_the_guard_the_same_questions_hand_out_everything(kept: Kept) -> None:
    """What the tests above ask would be seen, if it were there to be seen."""
    with kept.store.write() as tx:
        kept.tables.put(USE, [kept.row(USE, kept.his, kept.ben, "his")])
        tx.admit((1, kept.ana))

        assert kept.tables.find(USE, {"row": kept.his})
        assert kept.tables.delete(USE, {"owner": kept.ben}) == 1


def _note(tx: Any, number: int) -> Any:
    row, note = next(iter(tx.notes.load([1]).items()))
    return replace(note, id=f"more-{row}-{number}")
