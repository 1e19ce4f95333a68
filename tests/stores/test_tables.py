"""What each table of a store promises."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from agentmem.errors import EmbedderMismatch, InvalidArgument, ScopeError, StoreError, UnknownNote
from agentmem.notes.clock import micros
from agentmem.notes.filters import parse
from agentmem.notes.note import Fact, Link, MemoryState, NoteVersion, Scope
from agentmem.notes.rows import EditRow, EnrichmentRow, LinkRow, Selection, UseSummary

ANA, BEN, BOT = Scope(user="ana"), Scope(user="ben"), Scope(agent="bot")
DAY = 86_400_000_000
MAY = datetime(2026, 5, 1, tzinfo=UTC)


def test_a_note_comes_back_as_it_was(store, make) -> None:
    """Every field survives, whatever the text holds."""
    note = make(
        1,
        content="naïve 😀 'quotes' \"double\" \\ back\nslash\u202e \x00 nul",
        kind="semantic",
        scope=Scope("ana", "bot", "s"),
        actor="Ana",
        thread="t",
        position=7,
        valid_from=MAY,
        valid_to=MAY + timedelta(microseconds=1),
        keywords=("k", ""),
        tags=('t"', ","),
        context="said so",
        importance=0.1,
        source="web",
        trust=0.3,
        state=MemoryState(2.5, 4.0, MAY, 3),
        archived_at=MAY,
        fact=Fact("Ana", "lives  In", "Porto", False, "Where?", ("a", "b")),
        metadata={"x": [1, {"y": None}], "z": "é", "n": 2**80, "f": 0.1},
    )
    with store.write() as tx:
        owner = tx.notes.owner(note.scope, create=True)
        row = tx.notes.insert(note, owner, b"h")
        assert tx.notes.load([row]) == {row: note}
        assert tx.notes.rows_of([note.id, "nobody"]) == {note.id: row}


def test_owners_are_boundaries(store, make, put) -> None:
    """A user sees own, an agent's own and shared notes; the owners follow Scope.admits."""
    scopes = [Scope(), ANA, BEN, BOT, Scope(user="ana", agent="bot"), Scope(user="ana", agent="tool")]
    with store.write() as tx:
        assert tx.notes.owner(ANA) is None
        assert not tx.notes.has_owned()
        rows = {put(tx, make(i, scope=scope)): scope for i, scope in enumerate(scopes)}
        assert tx.notes.has_owned()
        assert tx.notes.owner(Scope()) == 1
        assert tx.notes.owner(Scope(user="ana", agent="bot")) == tx.notes.owner(ANA)
        assert {tx.notes.scope_of(owner) for owner in tx.notes.all_owners()} == {Scope(), ANA, BEN, BOT}
        assert tx.notes.visible_owners(Scope(user="nobody")) == (1,)
        for request in [*scopes, Scope(agent="tool"), Scope(user="carl", agent="bot")]:
            selection = Selection(tx.notes.visible_owners(request), agent=request.agent, session=request.session)
            seen = set(tx.notes.select(selection))
            assert seen == {row for row, scope in rows.items() if request.admits(scope)}, request
            assert tx.notes.count(selection) == len(seen)
            assert {f.row for f in tx.notes.facets(list(rows), selection)} == seen


def test_a_note_cannot_be_put_under_another_owner(store, make) -> None:
    """A wrong owner is refused before it can leak."""
    with store.write() as tx:
        ana, ben = tx.notes.owner(ANA, create=True), tx.notes.owner(BEN, create=True)
        row = tx.notes.insert(make(1, scope=ANA), ana, b"")
        for wrong in (ben, 1, 99):
            with pytest.raises(ScopeError):
                tx.notes.insert(make(2, scope=ANA), wrong, b"")
        with pytest.raises(ScopeError):
            tx.notes.replace(row, make(1, scope=BEN), b"", "stolen")


def test_history(store, make, clock) -> None:
    """Each version says what it said, since when, and why; the present one comes last."""
    with store.write() as tx:
        row = tx.notes.insert(make(1, fact=Fact("Ana", "lives in", "Porto")), 1, b"1")
        clock.advance(days=1)
        tx.notes.replace(row, make(1, content="new words", fact=Fact("Ana", "lives in", "Faro")), b"2", "corrected")
        clock.advance(days=1)
        tx.notes.close_validity(row, micros(MAY), "superseded")
        history, note = tx.notes.history(row), tx.notes.load([row])[row]
        assert [f.object for _, f in tx.notes.facts(1, "ana", open_only=False)] == ["Faro"]
        assert tx.notes.same_content(1, b"2") == [row]
        assert tx.notes.same_content(1, b"1") == []

    assert [(v.version, v.content, v.reason) for v in history] == [
        (1, make(1).content, "stored"),
        (2, "new words", "corrected"),
        (3, "new words", "superseded"),
    ]
    assert history[-1] == NoteVersion(3, "new words", clock.now(), "superseded")
    assert (note.version, note.valid_to) == (3, MAY)
    with pytest.raises(UnknownNote), store.write() as tx:
        tx.notes.replace(99, make(1), b"", "gone")


def test_ids_and_rows_are_never_used_twice(store, make, put) -> None:
    """A row is not given again after its note is gone; an id cannot be taken twice."""
    with store.write() as tx:
        first = put(tx, make(1))
        tx.text.delete([first])
        tx.notes.delete([first])
        second = put(tx, make(1))
        assert second > first
    with pytest.raises(StoreError, match="contradicts"), store.write() as tx:
        put(tx, make(1))


def test_select_orders_and_pages(store, make, put) -> None:
    """Created and occurred order, both ways, over several owners, with ties decided by row."""
    with store.write() as tx:
        rows = [
            put(tx, make(i, scope=[Scope(), ANA, BOT][i % 3], occurred_at=MAY - timedelta(days=i % 4)))
            for i in range(12)
        ]
        owners = tx.notes.all_owners()
        selection = Selection(owners)
        notes = tx.notes.load(rows)
        by_time = sorted(rows, key=lambda r: (notes[r].occurred_at, r))

        assert tx.notes.select(selection) == rows
        assert tx.notes.select(selection, order="-created") == rows[::-1]
        assert tx.notes.select(selection, order="occurred") == by_time
        assert tx.notes.select(selection, order="-occurred") == by_time[::-1]
        assert tx.notes.select(selection, order="occurred", limit=3, offset=2) == by_time[2:5]
        assert tx.notes.select(Selection(())) == []
        assert tx.notes.select(Selection((1, 1))) == rows[::3]
        with pytest.raises(InvalidArgument):
            tx.notes.select(selection, order="random")


def test_select_uses_an_index(store, make, put) -> None:
    """Reading an owner's newest notes neither scans the table nor sorts."""
    with store.write() as tx:
        for i in range(50):
            put(tx, make(i))
        for order, column in (("created", "created_at"), ("-occurred", "occurred_at")):
            direction = "DESC" if order[0] == "-" else "ASC"
            plan = store._db.rows(
                f"EXPLAIN QUERY PLAN SELECT n.id AS row, n.{column} AS moment FROM note n WHERE n.owner = 1 AND "
                f"n.archived_at IS NULL ORDER BY moment {direction}, row {direction} LIMIT 5"
            )
            text = " ".join(step[3] for step in plan)
            assert "USING INDEX" in text
            assert "TEMP B-TREE" not in text


def test_archived_and_closed(store, make, put) -> None:
    """What has faded or ended is left out or kept as the selection says."""
    with store.write() as tx:
        plain, old, ended, coming = (put(tx, make(i)) for i in range(4))
        tx.notes.set_archived([old], micros(MAY))
        tx.notes.close_validity(ended, micros(MAY), "over")
        later = tx.notes.insert(make(9, valid_from=MAY), 1, b"")

        def rows(**values: object) -> set[int]:
            return set(tx.notes.select(Selection((1,), **values)))

        assert rows() == {plain, ended, coming, later}
        assert rows(archived=True) == {plain, old, ended, coming, later}
        assert rows(closed=False) == {plain, coming, later}
        assert rows(closed=False, as_of=micros(MAY) - 1) == {plain, ended, coming}
        assert rows(closed=False, as_of=micros(MAY)) == {plain, coming, later}
        assert rows(closed=True, as_of=micros(MAY)) == {plain, ended, coming, later}
        assert rows(where=parse({"archived": True}), archived=True) == {old}
        tx.notes.set_archived([old], None)
        assert old in rows()


def test_resting(store, make, put) -> None:
    """What may fade: active, long unreviewed, not important, no fact; read along an index, other owners' rows untouched."""
    with store.write() as tx:
        b, a, important, _, archived = (
            put(tx, make(number, **values))
            for number, values in (
                (5, {}), (3, {}), (1, {"importance": 0.8}), (2, {"fact": Fact("Ana", "lives in", "Porto")}), (4, {}),
            )
        )  # fmt: skip
        put(tx, make(6, scope=ANA))
        put(tx, make(20))
        tx.notes.set_archived([archived], micros(MAY))
        before = micros(make(10).created_at)
        assert [f.row for f in tx.notes.resting(1, before, 0.7)] == [a, b]
        assert [f.row for f in tx.notes.resting(1, before, 0.9)] == [important, a, b]
        assert tx.notes.resting(1, before, 0.7) == tx.notes.facets([a, b], Selection((1,)))
        assert tx.notes.resting(9, before, 0.7) == []


def test_facets(store, make) -> None:
    """Facets hold what ranking needs, in the order asked for, for rows that exist and are admitted."""
    with store.write() as tx:
        note = make(1, actor="Ana", thread="t", position=4, content="four words are here", importance=0.9)
        row = tx.notes.insert(note, 1, b"")
        other = tx.notes.insert(make(2), 1, b"")
        facets = tx.notes.facets([other, 99, row], Selection((1,)))
        assert [f.row for f in facets] == [other, row]
        found = facets[1]
        assert (found.owner, found.actor, found.thread, found.position) == (1, "Ana", "t", 4)
        assert (found.length, found.importance, found.archived) == (len(note.content), 0.9, False)
        tx.notes.set_states([(row, 9.0, 2.0, micros(MAY), 5)])
        assert tx.notes.facets([row], Selection((1,)))[0][8:12] == (9.0, 2.0, micros(MAY), 5)
        assert tx.notes.facets([row], Selection((2,))) == []


def test_delete_counts_places_and_leaves_nothing(store, make, put, unit) -> None:
    """Deleting a note takes its versions, facts, terms, links, vectors, uses and idempotency records along."""
    with store.write() as tx:
        row = put(tx, make(1, fact=Fact("a", "b", "c")), unit(1)[0])
        other = put(tx, make(2), unit(1)[0])
        tx.notes.replace(row, make(1), b"", "x")
        tx.notes.replace(row, make(1, fact=Fact("a", "b", "c")), b"", "x")
        tx.terms.add([(1, row, ["one", "two"])])
        tx.keys.put(1, "key", row, {"id": "x"})
        tx.links.put([LinkRow(row, other, "next", 1.0, ""), LinkRow(other, row, "similar", 1.0, "")])
        tx.uses.record([(row, DAY, 10)])
        assert tx.keys.of([row, other]) == [(1, "key")]
        assert tx.text.delete([row]) == 1
        assert tx.notes.delete([row, 99]) == {
            "versions": 2,
            "facts": 1,
            "terms": 2,
            "idempotency": 1,
            "notes": 1,
        }

        assert tx.notes.load([row]) == {}
        assert tx.keys.get(1, "key") is None
        assert tx.terms.find(1, ["one"]) == {}
        assert tx.links.count() == 0
        assert tx.uses.summary([row]) == {}
        assert tx.vectors.load([row])[0].tolist() == []
        assert next(c for c in tx.vectors.changes(0) if c.row == row).removed
    assert store.check() == []


def test_facts_are_found_by_normalised_names(store, make) -> None:
    """Case and spaces do not matter; closed notes are left out when asked."""
    with store.write() as tx:
        one = tx.notes.insert(make(1, fact=Fact("Ana  Silva", "Lives in", "Porto")), 1, b"")
        two = tx.notes.insert(make(2, fact=Fact("ana silva", "works at", "Acme")), 1, b"")
        ana = tx.notes.owner(ANA, create=True)
        tx.notes.insert(make(3, scope=ANA, fact=Fact("Ana Silva", "lives in", "Faro")), ana, b"")
        assert [row for row, _ in tx.notes.facts(1, " ANA silva")] == [one, two]
        assert [row for row, _ in tx.notes.facts(1, "ana silva", "lives  IN")] == [one]
        tx.notes.close_validity(one, micros(MAY), "")
        assert tx.notes.facts(1, "ana silva", "lives in") == []
        assert tx.notes.facts(1, "ana silva", "lives in", open_only=False)[0][1].object == "Porto"


def test_actors_threads_terms(store, make) -> None:
    """Actors by owner, the end of a thread, neighbours in it, and who mentions a term."""
    with store.write() as tx:
        ben = tx.notes.owner(BEN, create=True)
        rows = [tx.notes.insert(make(i, thread="t", position=i, actor=["b", "a"][i % 2]), 1, b"") for i in range(5)]
        foreign = tx.notes.insert(make(9, scope=BEN, thread="t", position=2, actor="c"), ben, b"")
        alone = tx.notes.insert(make(10), 1, b"")

        assert tx.notes.actors([1]) == ["a", "b"]
        assert tx.notes.actors([1, ben]) == ["a", "b", "c"]
        assert tx.notes.actors([]) == []
        assert tx.threads.tail(1, "t") == (rows[4], 4)
        assert tx.threads.tail(ben, "t") == (foreign, 2)
        assert tx.threads.tail(1, "none") is None
        assert tx.threads.neighbours(rows[2]) == [rows[1], rows[3]]
        assert tx.threads.neighbours(rows[0], 2) == [rows[1], rows[2]]
        assert tx.threads.neighbours(alone) == []
        for row in rows:
            tx.terms.add([(1, row, ["porto", "porto"])])
        tx.terms.add([(ben, foreign, ["porto"])])
        assert tx.terms.find(1, ["porto", "none"], limit=2) == {"porto": [rows[4], rows[3]]}
        assert tx.terms.find(ben, ["porto"]) == {"porto": [foreign]}


def test_tombstones_tell_nothing(store, tmp_path) -> None:
    """A tombstone is found by content and owner; its bytes differ from store to store."""
    from agentmem.stores.sqlite.store import SqliteStore

    with store.write() as tx:
        tx.tombstones.add(1, b"hash", 5)
        tx.tombstones.add(1, b"hash", 9)
        tx.tombstones.add(1, b"hash", 7)
        assert tx.tombstones.find(1, b"hash") == 9
        assert tx.tombstones.find(2, b"hash") is None
        assert tx.tombstones.find(1, b"other") is None
        ours = store._db.value("SELECT mac FROM tombstone")
    other = SqliteStore()
    with other.write() as tx:
        tx.tombstones.add(1, b"hash", 5)
        theirs = other._db.value("SELECT mac FROM tombstone")
    assert len(ours) == 32
    assert ours != theirs
    other.close()


def test_idempotency(store, make, put) -> None:
    with store.write() as tx:
        row = put(tx, make(1))
        tx.keys.put(1, "k", row, {"id": "x", "n": [1]})
        tx.keys.put(1, "rejected", None, {"id": None})
        assert tx.keys.get(1, "k") == {"id": "x", "n": [1]}
        assert tx.keys.get(1, "rejected") == {"id": None}
        assert tx.keys.get(2, "k") is None


def test_vectors(store, make, put, unit) -> None:
    """Vectors keep half precision, replace each other, and log each change once."""
    vectors = unit(3)
    with store.write() as tx:
        rows = [put(tx, make(i)) for i in range(4)]
        assert tx.vectors.missing() == rows
        tx.vectors.put(rows[:3], 1, vectors)
        tx.vectors.put(rows[:1], 1, vectors[1:2])
        found, loaded = tx.vectors.load([rows[2], rows[0], 99])
        assert found.tolist() == [rows[0], rows[2]]
        assert loaded.dtype == np.float32
        assert np.abs(loaded - vectors[[1, 2]]).max() < 1e-3
        assert tx.vectors.load_owner(1)[0].tolist() == rows[:3]
        assert tx.vectors.load_owner(2)[1].shape[0] == 0
        assert (tx.vectors.count(), tx.vectors.missing()) == (3, [rows[3]])
        assert [tx.vectors.more_than(1, number) for number in (0, 2, 3)] == [True, True, False]
        assert not tx.vectors.more_than(2, 0)
        assert [(c.row, c.removed) for c in tx.vectors.changes(0)] == [
            (rows[1], False),
            (rows[2], False),
            (rows[0], False),
        ]
        counter = tx.vectors.counter()
        assert tx.vectors.delete([rows[1], 99]) == 1
        assert tx.vectors.counter() > counter
        assert [(c.row, c.removed) for c in tx.vectors.changes(counter)] == [(rows[1], True)]


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((1, 4), np.float32),
        np.full((1, 4), np.nan, np.float32),
        np.full((1, 4), np.inf, np.float32),
        np.full((1, 4), 3e38, np.float32),
        np.ones((2, 4), np.float32),
        np.ones(4, np.float32),
        np.ones((1, 0), np.float32),
        [["a"]],
    ],
)
def test_bad_vectors_are_refused(store, make, put, bad) -> None:
    with store.write() as tx:
        row = put(tx, make(1))
        with pytest.raises(InvalidArgument):
            tx.vectors.put([row], 1, bad)
        assert tx.vectors.count() == 0


def test_an_embedder_is_fixed_until_cleared(store, make, put, unit) -> None:
    """Vectors of two embedders never meet in one store."""
    with store.write() as tx:
        row = put(tx, make(1))
        assert tx.vectors.fingerprint() is None
        tx.vectors.set_fingerprint("one", 8)
        tx.vectors.set_fingerprint("two", 32)
        assert tx.vectors.fingerprint() == ("two", 32)
        with pytest.raises(EmbedderMismatch):
            tx.vectors.put([row], 1, unit(1, 8))
        tx.vectors.put([row], 1, unit(1, 32))
        with pytest.raises(EmbedderMismatch):
            tx.vectors.set_fingerprint("one", 32)
        with pytest.raises(InvalidArgument):
            tx.vectors.set_fingerprint("two", 0)
        before = tx.vectors.counter()
        tx.vectors.clear()
        assert tx.vectors.fingerprint() is None
        assert [c.removed for c in tx.vectors.changes(before)] == [True]
        tx.vectors.set_fingerprint("one", 8)


def test_links(store, make, put) -> None:
    """Links keep their larger weight and their last use, and never dangle."""
    with store.write() as tx:
        a, b, c = (put(tx, make(i)) for i in range(3))
        tx.links.put([LinkRow(a, b, "next", 0.5, "first"), LinkRow(b, c, "similar", 0.4, "")])
        tx.links.put([LinkRow(a, b, "next", 0.3, "weaker"), LinkRow(b, c, "similar", 0.6, "stronger")])
        assert tx.links.touching([b]) == [
            LinkRow(a, b, "next", 0.5, "first"),
            LinkRow(b, c, "similar", 0.6, "stronger"),
        ]
        assert tx.links.touching([a, b, c], ["similar"]) == [LinkRow(b, c, "similar", 0.6, "stronger")]
        assert tx.links.public([c]) == [Link("note-000001", "note-000002", "similar", 0.6, "stronger")]
        used = LinkRow(a, c, "used_together", 0.3, "", 7)
        tx.links.put([used])
        tx.links.put([used._replace(used_at=None), used._replace(used_at=5)])
        assert tx.links.touching([a], ["used_together"]) == [used]
        assert tx.links.delete(a, c, "used_together") == 1
        with pytest.raises(InvalidArgument):
            tx.links.put([LinkRow(a, a, "next", 1.0, "")])
        with pytest.raises(StoreError), store.write():
            tx.links.put([LinkRow(a, 99, "next", 1.0, "")])
        tx.links.put([LinkRow(a, b, "supports", 1.0, "")])
        assert tx.links.delete(a, b, "supports") == 1
        assert tx.links.delete(a, b) == 1
        assert tx.links.delete_rows([b]) == 1
        assert tx.links.count() == 0


def test_derived_notes(store, make, put) -> None:
    """A summary is found from any of its sources, with all of them."""
    with store.write() as tx:
        a, b, c, summary = (put(tx, make(i)) for i in range(4))
        tx.links.put([LinkRow(summary, x, "derived_from", 1.0, "") for x in (a, b)])
        tx.links.put([LinkRow(summary, c, "next", 1.0, "")])
        assert tx.links.derived_from([a]) == {summary: [a, b]}
        assert tx.links.derived_from([c, summary]) == {}


def test_outbox(store) -> None:
    """Items come in order and stay until they are done."""
    with store.write() as tx:
        tx.outbox.put("upsert", 1, [5, 6])
        tx.outbox.put("remove", 2, [5])
        items = tx.outbox.take(2)
        assert [(i.op, i.owner, i.row) for i in items] == [("upsert", 1, 5), ("upsert", 1, 6)]
        assert tx.outbox.take(2) == items
        tx.outbox.done(items[-1].seq)
        assert [(i.op, i.row) for i in tx.outbox.take(9)] == [("remove", 5)]
        tx.outbox.clear()
        assert tx.outbox.count() == 0
        with pytest.raises(InvalidArgument):
            tx.outbox.put("drop", 1, [1])


def test_uses(store, make, put) -> None:
    """Uses are summed by note and day; an unknown note is passed over."""
    with store.write() as tx:
        a, b = put(tx, make(1)), put(tx, make(2, scope=ANA))
        tx.uses.record([(a, 5, 10), (a, 9, 10), (a, 3 * DAY, 1), (b, DAY, 7), (99, 1, 1)])
        assert tx.uses.summary([a, b, 99]) == {
            a: UseSummary(3, 2, 21, 3 * DAY),
            b: UseSummary(1, 1, 7, DAY),
        }
        assert tx.uses.summary([a], since=2 * DAY) == {a: UseSummary(1, 1, 1, 3 * DAY)}
        assert tx.uses.delete([a]) == 2


def test_ledger(store) -> None:
    with store.write() as tx:
        tx.ledger.append(1, "promoted", note_id="n", edit_id="e", details={"score": 0.5})
        tx.ledger.append(2, "forgotten", note_id="m")
        entries = tx.ledger.entries()
        assert [(e.at, e.event, e.note_id, e.edit_id, dict(e.details)) for e in entries] == [
            (1, "promoted", "n", "e", {"score": 0.5}),
            (2, "forgotten", "m", None, {}),
        ]
        assert tx.ledger.entries(after=entries[0].seq) == entries[1:]
        assert tx.ledger.entries(note_ids=["n"]) == entries[:1]
        assert tx.ledger.entries(limit=1) == entries[:1]


def test_the_ledger_knows_whose_a_note_was(store, put, make) -> None:
    """Of a line about a note that is there it finds out; about one that is gone it is told. What was forgotten and edited has an owner for good."""
    with store.write() as tx:
        row = put(tx, make(1, id="n", scope=Scope(user="ana")))
        ana = tx.notes.owner(Scope(user="ana"))
        tx.ledger.append(1, "promoted", note_id="n", edit_id="e")
        tx.ledger.put_edit(EditRow("f", "n", ana, "grace", "active", 1))
        assert tx.ledger.forgotten(["n"]) == {}
        tx.notes.delete([row])
        tx.ledger.append(2, "forgotten", note_id="n", owner=ana)
        tx.ledger.append(2, "forgotten", note_id="m")

        assert [entry.owner for entry in tx.ledger.entries()] == [ana, ana, None]
        assert tx.ledger.forgotten(["n", "m", "o"]) == {"n": {ana}, "m": {None}}
        assert tx.ledger.edited(["e", "f", "g"]) == {"e": {ana}, "f": {ana}}


def test_lines_of_some_notes_are_all_found(store) -> None:
    """However many other lines lie before them."""
    with store.write() as tx:
        for at in range(10_050):
            tx.ledger.append(at, "failed", note_id="m" if at else "n")
        tx.ledger.append(20_000, "failed", note_id="n", details={"version": 3})
        tx.ledger.append(20_001, "promoted", note_id="n")

        assert [line.at for line in tx.ledger.entries(event="failed", note_ids=["n", "x"])] == [0, 20_000]
        assert [line.at for line in tx.ledger.entries(event="failed", note_ids=["n"], limit=None)] == [0, 20_000]
        assert len(tx.ledger.entries(event="failed", limit=None)) == 10_051
        assert tx.ledger.entries(event="failed", note_ids=[], limit=None) == []


def test_edits(store) -> None:
    edit = EditRow("e1", "n1", 1, "grace", "active", 1, {"prompt": "Where?"}, "stable", 5)
    with store.write() as tx:
        tx.ledger.put_edit(edit)
        tx.ledger.put_edit(replace(edit, id="e2", note_id="n2", owner=2, state="retired"))
        assert tx.ledger.edits() == [edit]
        assert [e.id for e in tx.ledger.edits(state=None)] == ["e1", "e2"]
        assert [e.id for e in tx.ledger.edits(state=None, note_ids=["n2"])] == ["e2"]
        assert tx.ledger.edits(owners=[2]) == []
        assert tx.ledger.edits(note_ids=[]) == []
        tx.ledger.put_edit(replace(edit, state="retired"))
        assert tx.ledger.edits() == []
        assert tx.ledger.delete_edits(["e1", "e9"]) == 1


def test_packs_and_leases(store) -> None:
    with store.write() as tx:
        assert tx.ledger.active_pack("grace") is None
        assert tx.ledger.set_active_pack("grace", "aa", 1) == 1
        assert tx.ledger.set_active_pack("grace", "bb", 2) == 2
        assert tx.ledger.active_pack("grace") == ("bb", 2)
        assert tx.ledger.set_active_pack("grace", None, 3) == 3
        assert tx.ledger.active_pack("grace") is None
        assert tx.ledger.active_pack("wise") is None

        assert tx.ledger.lease("job", "one", 10, 20)
        assert not tx.ledger.lease("job", "two", 19, 30)
        assert tx.ledger.lease("job", "one", 19, 25)
        assert tx.ledger.lease("job", "two", 25, 40)
        tx.ledger.release("job", "one")
        assert not tx.ledger.lease("job", "one", 30, 40)
        tx.ledger.release("job", "two")
        assert tx.ledger.lease("job", "one", 30, 40)


def test_meta_and_pages(store, make, put) -> None:
    with store.write() as tx:
        rows = [put(tx, make(i)) for i in range(5)]
        tx.meta_set("a", "1")
        tx.meta_set("a", "2")
        assert tx.meta_get("a") == "2"
        tx.meta_set("a", None)
        assert tx.meta_get("a") is None
        pages = [tx.notes.page(None, after, 2) for after in (0, rows[1], rows[3])]
    assert pages == [rows[:2], rows[2:4], rows[4:]]


def test_check_finds_what_does_not_fit(store, make, put) -> None:
    """A note without words, words of another owner than their note, and words that nobody could follow, are named."""
    with store.write() as tx:
        row, other, third = (put(tx, make(i)) for i in range(3))
        owner = tx.notes.owner(Scope(user="ana"), create=True)
        tx.text.delete([row])
        tx.text.put(other, owner, "somebody else's", "")
        store._db.run("DELETE FROM words_change WHERE row = ?", (third,))
    assert [problem.split(" ", 1) for problem in store.check()] == [
        ["1", "notes without words"],
        ["1", "words of another owner than their note"],
        ["1", "words that the change log does not know"],
        ["1", "changes of another owner than their note"],
    ]


def test_a_record_of_enrichment_leaves_one_note_and_comes_to_another_as_it_was(store, make, put) -> None:
    """With the hash it was made for and its time; sources are named by row, and go with their notes."""
    with store.write() as tx:
        a, b, c = (put(tx, make(i)) for i in range(3))
        tx.enrichment.put(a, EnrichmentRow("before", ("t",), ("k",)), 5)
        tx.enrichment.failed(a, 7)
        tx.enrichment.add_sources(a, [c, b, a])
        saved = tx.enrichment.saved([a, b])
        assert list(saved) == [a]
        assert (saved[a].at, saved[a].record.state, saved[a].record.context) == (7, "failed", "before")
        tx.enrichment.restore(b, saved[a])
        assert tx.enrichment.saved([b])[b] == saved[a]._replace(record=replace(saved[a].record, current=False))
        assert tx.enrichment.sources([a, b]) == {a: [b, c]}
        tx.notes.delete([c])
        assert tx.enrichment.sources([a, b]) == {a: [b]}
