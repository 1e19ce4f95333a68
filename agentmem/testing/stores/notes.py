"""Notes come back as they were, to those who may see them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agentmem.errors import InvalidArgument, ScopeError, StoreError, UnknownNote
from agentmem.notes.clock import micros
from agentmem.notes.filters import parse
from agentmem.notes.note import Fact, MemoryState, NoteVersion, Scope
from agentmem.notes.rows import EnrichmentRow, LinkRow, Selection
from agentmem.testing.stores.suite import ANA, BEN, BOT, DAY, MAY, StoreSuite

__all__ = ["NotePromises"]


class NotePromises(StoreSuite):
    """What a store promises of notes, their owners and versions."""

    def test_a_note_comes_back_as_it_was(self) -> None:
        """Every field survives, whatever the text holds."""
        store, make = self.store, self.note
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
            facts=(
                Fact("Ana", "lives  In", "Porto", False, "Where?", ("a", "b")),
                Fact(
                    "Ana",
                    "works as",
                    "plumber",
                    valid_from=MAY,
                    valid_to=MAY + timedelta(days=1),
                    ended_by="note-000009",
                ),
            ),
            metadata={"x": [1, {"y": None}], "z": "é", "n": 2**80, "f": 0.1},
        )
        with store.write() as tx:
            owner = self.owner(tx, note.scope)
            row = tx.notes.insert(note, owner, b"h")
            assert tx.notes.load([row]) == {row: note}
            assert tx.notes.rows_of([note.id, "nobody"]) == {note.id: row}

    def test_owners_are_boundaries(self) -> None:
        """A user sees own, an agent's own and shared notes; the owners follow Scope.admits."""
        store, make, put = self.store, self.note, self.put
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

    def test_a_note_cannot_be_put_under_another_owner(self) -> None:
        """A wrong owner is refused before it can leak."""
        store, make = self.store, self.note
        with store.write() as tx:
            ana, ben = self.owner(tx, ANA), self.owner(tx, BEN)
            row = tx.notes.insert(make(1, scope=ANA), ana, b"")
            for wrong in (ben, 1, 99):
                with pytest.raises(ScopeError):
                    tx.notes.insert(make(2, scope=ANA), wrong, b"")
            with pytest.raises(ScopeError):
                tx.notes.replace(row, make(1, scope=BEN), b"", "stolen")

    def test_history(self) -> None:
        """Each version says what it said, since when, and why; the present one comes last."""
        store, make, clock = self.store, self.note, self.clock
        with store.write() as tx:
            row = tx.notes.insert(make(1, facts=(Fact("Ana", "lives in", "Porto"),)), 1, b"1")
            clock.advance(days=1)
            tx.notes.replace(
                row, make(1, content="new words", facts=(Fact("Ana", "lives in", "Faro"),)), b"2", "corrected"
            )
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

    def test_ids_and_rows_are_never_used_twice(self) -> None:
        """A row is not given again after its note is gone; an id cannot be taken twice."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            first = put(tx, make(1))
            tx.text.delete([first])
            tx.notes.delete([first])
            second = put(tx, make(1))
            assert second > first
        with pytest.raises(StoreError, match="contradicts"), store.write() as tx:
            put(tx, make(1))

    def test_select_orders_and_pages(self) -> None:
        """Created and occurred order, both ways, over several owners, with ties decided by row."""
        store, make, put = self.store, self.note, self.put
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

    def test_archived_and_closed(self) -> None:
        """What has faded or ended is left out or kept as the selection says."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            plain, old, ended, coming = (put(tx, make(i)) for i in range(4))
            tx.notes.set_archived([old], micros(MAY))
            tx.notes.close_validity(ended, micros(MAY), "over")
            later = tx.notes.insert(make(9, valid_from=MAY), 1, b"")

            def rows(**values: Any) -> set[int]:
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

    def test_rows_that_are_left_out_are_admitted_by_nothing(self) -> None:
        """Neither listed nor counted nor ranked, whatever else is asked for."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            first, second, third = (put(tx, make(i)) for i in range(3))
            for where in (None, parse({"content": {"$contains": "apples"}})):
                asked = Selection((1,), where=where, without=(second, 99))
                assert tx.notes.select(asked) == [first, third]
                assert tx.notes.page(asked, 0, 5) == [first, third]
                assert tx.notes.count(asked) == 2
                assert [facet.row for facet in tx.notes.facets([third, second, first], asked)] == [third, first]
                assert not tx.notes.any(Selection((1,), where=where, without=(first, second, third)))

    def test_resting(self) -> None:
        """What may fade: active, long unreviewed, not important, no fact; read along an index, other owners' rows untouched."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            b, a, important, _, archived = (
                put(tx, make(number, **values))
                for number, values in (
                    (5, {}), (3, {}), (1, {"importance": 0.8}), (2, {"facts": (Fact("Ana", "lives in", "Porto"),)}), (4, {}),
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

    def test_facets(self) -> None:
        """Facets hold what ranking needs, in the order asked for, for rows that exist and are admitted."""
        store, make = self.store, self.note
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

    def test_delete_counts_places_and_leaves_nothing(self) -> None:
        """Deleting a note takes its versions, facts, terms, links, vectors, uses and idempotency records along."""
        store, make, put, unit = self.store, self.note, self.put, self.unit
        with store.write() as tx:
            row = put(tx, make(1, facts=(Fact("a", "b", "c"),)), unit(1)[0])
            other = put(tx, make(2), unit(1)[0])
            tx.notes.replace(row, make(1), b"", "x")
            tx.notes.replace(row, make(1, facts=(Fact("a", "b", "c"),)), b"", "x")
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

    def test_facts_are_found_by_normalised_names(self) -> None:
        """Case and spaces do not matter; closed notes are left out when asked."""
        store, make = self.store, self.note
        with store.write() as tx:
            one = tx.notes.insert(make(1, facts=(Fact("Ana  Silva", "Lives in", "Porto"),)), 1, b"")
            two = tx.notes.insert(make(2, facts=(Fact("ana silva", "works at", "Acme"),)), 1, b"")
            ana = self.owner(tx, ANA)
            tx.notes.insert(make(3, scope=ANA, facts=(Fact("Ana Silva", "lives in", "Faro"),)), ana, b"")
            assert [row for row, _ in tx.notes.facts(1, " ANA silva")] == [one, two]
            assert [row for row, _ in tx.notes.facts(1, "ana silva", "lives  IN")] == [one]
            tx.notes.close_validity(one, micros(MAY), "")
            assert tx.notes.facts(1, "ana silva", "lives in") == []
            assert tx.notes.facts(1, "ana silva", "lives in", open_only=False)[0][1].object == "Porto"

    def test_one_of_several_facts_ends_and_the_note_stays(self) -> None:
        """What ended says since when and by what; the others hold, the note does, and the end can be taken back."""
        store, make, clock = self.store, self.note, self.clock
        graz, plumber = Fact("Ana", "lives in", "Graz"), Fact("Ana", "works as", "plumber")
        note = make(1, facts=(graz, plumber))
        with store.write() as tx:
            row = self.put(tx, note)
            clock.advance(days=1)
            tx.notes.close_fact(row, graz, micros(MAY), "note-000002", "in part")
            closed = tx.notes.load([row])[row]
            holding = [f.object for _, f in tx.notes.facts(1, "ana")]
            before = [f.object for _, f in tx.notes.facts(1, "ana", holding_from=micros(MAY) - 1)]
            told = [(v.version, v.reason) for v in tx.notes.history(row)]
        assert store.check() == []
        with store.write() as tx:
            tx.notes.close_fact(row, closed.facts[0], None, None, "holds again")
            again = tx.notes.load([row])[row]

        assert closed.facts == (replace(graz, valid_to=MAY, ended_by="note-000002"), plumber)
        assert (closed.fact, closed.valid_to, holding, before) == (plumber, None, ["plumber"], ["Graz", "plumber"])
        assert told == [(1, "stored"), (2, "in part")]
        assert (again.facts, again.version) == (note.facts, 3)
        assert store.check() == []

    def test_a_filter_asks_for_any_fact_and_denies_of_all(self) -> None:
        """The second fact of a note is found as the first one is."""
        store, make = self.store, self.note
        with store.write() as tx:
            both = tx.notes.insert(
                make(1, facts=(Fact("Ana", "lives in", "Graz"), Fact("Ana", "works as", "nurse"))), 1, b""
            )
            none = tx.notes.insert(make(2), 1, b"")

            def found(where: dict[str, object]) -> list[int]:
                return tx.notes.select(Selection((1,), where=parse(where)))

            assert found({"object": "nurse"}) == found({"relation": {"$in": ["works as"]}}) == [both]
            assert found({"object": {"$ne": "nurse"}}) == found({"subject": {"$exists": False}}) == [none]

    def test_actors_threads_terms(self) -> None:
        """Actors by owner, the end of a thread, neighbours in it, and who mentions a term."""
        store, make = self.store, self.note
        with store.write() as tx:
            ben = self.owner(tx, BEN)
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

    def test_meta_and_pages(self) -> None:
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            rows = [put(tx, make(i)) for i in range(5)]
            tx.meta_set("a", "1")
            tx.meta_set("a", "2")
            assert tx.meta_get("a") == "2"
            tx.meta_set("a", None)
            assert tx.meta_get("a") is None
            pages = [tx.notes.page(None, after, 2) for after in (0, rows[1], rows[3])]
        assert pages == [rows[:2], rows[2:4], rows[4:]]

    def test_a_record_of_enrichment_leaves_one_note_and_comes_to_another_as_it_was(self) -> None:
        """With the hash it was made for and its time; sources are named by row, and go with their notes."""
        store, make, put = self.store, self.note, self.put
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

    def test_derived_notes(self) -> None:
        """A summary is found from any of its sources, with all of them."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            a, b, c, summary = (put(tx, make(i)) for i in range(4))
            tx.links.put([LinkRow(summary, x, "derived_from", 1.0, "") for x in (a, b)])
            tx.links.put([LinkRow(summary, c, "next", 1.0, "")])
            assert tx.links.derived_from([a]) == {summary: [a, b]}
            assert tx.links.derived_from([c, summary]) == {}
