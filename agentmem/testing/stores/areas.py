"""What is kept beside the notes: links, vectors, uses, edits, keys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agentmem.errors import EmbedderMismatch, InvalidArgument, ScopeBreach, StoreError
from agentmem.notes.clock import from_micros, micros
from agentmem.notes.note import Link, Scope
from agentmem.notes.rows import EditRow, LinkRow, UseSummary
from agentmem.notes.spaces import lived
from agentmem.records.evidence import MOST_WORDINGS, Asked
from agentmem.records.readings import Reading
from agentmem.testing.stores.suite import ANA, BEN, DAY, MAY, StoreSuite

__all__ = ["AreaPromises"]


class AreaPromises(StoreSuite):
    """What a store promises of everything that names a note."""

    def test_idempotency(self) -> None:
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            row = put(tx, make(1))
            tx.keys.put(1, "k", row, {"id": "x", "n": [1]})
            tx.keys.put(1, "rejected", None, {"id": None})
            assert tx.keys.get(1, "k") == {"id": "x", "n": [1]}
            assert tx.keys.get(1, "rejected") == {"id": None}
            assert tx.keys.get(2, "k") is None

    def test_vectors(self) -> None:
        """Vectors keep half precision, replace each other, and log each change once."""
        store, make, put, unit = self.store, self.note, self.put, self.unit
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

    def test_experiences_lie_apart(self) -> None:
        """Under the number of their owner below zero: nothing of them is among the owner's notes, and the owner's request has both."""
        store, make, put, unit = self.store, self.note, self.put, self.unit
        with store.write() as tx:
            told, done = put(tx, make(1)), put(tx, make(2))
            for row, space in ((told, 1), (done, lived(1))):
                tx.vectors.put([row], space, unit(1))
                tx.text.put(row, space, "harbour", "")
                tx.outbox.put("upsert", space, [row])
            assert [tx.vectors.load_owner(space)[0].tolist() for space in (1, lived(1))] == [[told], [done]]
            assert [tx.text.batch(space, 0, 9).rows.tolist() for space in (1, lived(1))] == [[told], [done]]
            assert {(c.row, c.owner) for c in tx.vectors.changes(0)} == {(told, 1), (done, lived(1))}
            assert {(item.row, item.owner) for item in tx.outbox.take(9)} == {(told, 1), (done, lived(1))}
            tx.admit([1])
            assert (tx.vectors.count(), tx.text.count()) == (2, 2)
            with pytest.raises(ScopeBreach):
                tx.vectors.load_owner(lived(2))

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
    def test_bad_vectors_are_refused(self, bad: Any) -> None:
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            row = put(tx, make(1))
            with pytest.raises(InvalidArgument):
                tx.vectors.put([row], 1, bad)
            assert tx.vectors.count() == 0

    def test_an_embedder_is_fixed_until_cleared(self) -> None:
        """Vectors of two embedders never meet in one store."""
        store, make, put, unit = self.store, self.note, self.put, self.unit
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

    def test_links(self) -> None:
        """Links keep their larger weight and their last use, and never dangle."""
        store, make, put = self.store, self.note, self.put
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

    def test_outbox(self) -> None:
        """Items come in order and stay until they are done."""
        store = self.store
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

    def test_uses(self) -> None:
        """Uses are summed by note and day; an unknown note is passed over."""
        store, make, put = self.store, self.note, self.put
        with store.write() as tx:
            a, b = put(tx, make(1)), put(tx, make(2, scope=ANA))
            tx.uses.record([(a, 5, 10), (a, 9, 10), (a, 3 * DAY, 1), (b, DAY, 7), (99, 1, 1)])
            assert tx.uses.summary([a, b, 99]) == {
                a: UseSummary(3, 2, 21, 3 * DAY),
                b: UseSummary(1, 1, 7, DAY),
            }
            assert tx.uses.summary([a], since=2 * DAY) == {a: UseSummary(1, 1, 1, 3 * DAY)}
            assert tx.uses.delete([a]) == 2

    def test_evidence(self) -> None:
        """A question stands under each of its notes or under none; the latest answer counts, and of the wordings the latest; it goes with any of its notes."""
        store = self.store
        with store.write() as tx:
            rows = [self.put(tx, self.note(number)) for number in range(3)]

            def asked(question: str, answer: str, at: int, *notes: int, owner: int = 1) -> Asked:
                return Asked(owner, None, "s", question, answer, 1, at, tuple(rows[n] for n in notes))

            tx.evidence.keep(asked("Where?", "There.", 5, 0, 1))
            tx.evidence.keep(asked("Where?", "Here.", 7, 1, 2))
            tx.evidence.keep(asked("where?", "Here.", 6, 2))
            assert tx.evidence.of(1) == [
                asked("Where?", "Here.", 7, 1, 2)._replace(times=2),
                asked("where?", "Here.", 6, 2),
            ]
            assert tx.evidence.of(1, [rows[0]]) == []
            assert tx.evidence.of(2) == []
            assert not tx.evidence.restore(asked("Where?", "Elsewhere.", 9, 0))
            assert tx.evidence.among(rows) == 2
            assert tx.evidence.delete([rows[1]]) == 1
            assert [each.question for each in tx.evidence.of(1)] == ["where?"]
            for at in range(MOST_WORDINGS):
                tx.evidence.keep(asked(f"Which {at}?", "One.", 10 + at, 2, 0))
            assert [each.at for each in tx.evidence.of(1, [rows[2]])] == list(range(9 + MOST_WORDINGS, 9, -1))
            tx.evidence.keep(asked("Which?", "One.", 99, 2))
            assert [each.at for each in tx.evidence.of(1, [rows[0]])] == list(range(9 + MOST_WORDINGS, 10, -1))
            assert tx.evidence.delete_repeating(1, ["I asked: Which 7?", "Two."]) == 1
            tx.notes.delete([rows[2]])
            assert not tx.evidence.under([rows[2]])
            tx.evidence.delete(rows)
            assert tx.evidence.of(1) == []
        assert store.check() == []

    def test_readings(self) -> None:
        """Notes are found by when they were said and by what they tell of, if half of that is asked for; with a note goes what was read of it."""
        with self.store.write() as tx:
            owner, ben = self.owner(tx, ANA), self.owner(tx, BEN)
            said = [micros(MAY) + day * DAY for day in range(4)]
            rows = [self.put(tx, self.note(n, scope=ANA, occurred_at=from_micros(said[n]))) for n in range(4)]
            foreign = self.put(tx, self.note(9, scope=BEN, occurred_at=MAY))
            week = (said[0] - 2 * DAY, said[0] + 5 * DAY)
            tx.readings.put(
                [
                    Reading(rows[0], owner, [(said[2], said[3]), week], 90),
                    Reading(rows[1], owner),
                    Reading(foreign, ben, [week], 5),
                ]
            )
            first = (said[0], said[1])

            assert tx.readings.times(rows) == {rows[0]: [week, (said[2], said[3])]}
            assert tx.readings.asking(rows) == dict.fromkeys(rows, 0) | {rows[0]: 90}
            assert sorted(tx.readings.said((owner,), (said[0], said[2]), 9)) == rows[:2]  # half-open
            assert len(tx.readings.said((owner,), (said[0], said[3]), 2)) == 2
            assert tx.readings.told((owner,), (said[2], said[3]), 9) == [
                rows[0]
            ]  # by the day; of the week it is a seventh
            assert tx.readings.told((owner,), first, 9) == []
            assert tx.readings.told((owner, ben), (said[0], said[0] + 4 * DAY), 9) == [rows[0], rows[0], foreign]
            assert tx.readings.told((ben,), week, 9) == [foreign]
            tx.readings.replace([Reading(rows[0], owner, [first], 7)])
            assert tx.readings.told((owner,), first, 9) == [rows[0]]
            assert (
                tx.readings.asking(rows) == tx.readings.asking(rows, anew=True) == dict.fromkeys(rows, 0) | {rows[0]: 7}
            )
            tx.notes.delete([rows[0]])
            assert tx.readings.told((owner,), first, 9) == []
            assert not tx.readings.kept(rows)
            assert tx.readings.delete([foreign]) == 2
            assert not tx.readings.kept([foreign])

    def test_ledger(self) -> None:
        store = self.store
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

    def test_the_ledger_knows_whose_a_note_was(self) -> None:
        """Of a line about a note that is there it finds out; about one that is gone it is told. What was forgotten and edited has an owner for good."""
        store, put, make = self.store, self.put, self.note
        with store.write() as tx:
            row = put(tx, make(1, id="n", scope=Scope(user="ana")))
            ana = self.owner(tx, Scope(user="ana"))
            tx.ledger.append(1, "promoted", note_id="n", edit_id="e")
            tx.ledger.put_edit(EditRow("f", "n", ana, "grace", "active", 1))
            assert tx.ledger.forgotten(["n"]) == {}
            tx.notes.delete([row])
            tx.ledger.append(2, "forgotten", note_id="n", owner=ana)
            tx.ledger.append(2, "forgotten", note_id="m")

            assert [entry.owner for entry in tx.ledger.entries()] == [ana, ana, None]
            assert tx.ledger.forgotten(["n", "m", "o"]) == {"n": {ana}, "m": {None}}
            assert tx.ledger.edited(["e", "f", "g"]) == {"e": {ana}, "f": {ana}}

    def test_lines_of_some_notes_are_all_found(self) -> None:
        """However many other lines lie before them."""
        store = self.store
        with store.write() as tx:
            for at in range(10_050):
                tx.ledger.append(at, "failed", note_id="m" if at else "n")
            tx.ledger.append(20_000, "failed", note_id="n", details={"version": 3})
            tx.ledger.append(20_001, "promoted", note_id="n")

            assert [line.at for line in tx.ledger.entries(event="failed", note_ids=["n", "x"])] == [0, 20_000]
            assert [line.at for line in tx.ledger.entries(event="failed", note_ids=["n"], limit=None)] == [0, 20_000]
            assert len(tx.ledger.entries(event="failed", limit=None)) == 10_051
            assert tx.ledger.entries(event="failed", note_ids=[], limit=None) == []

    def test_edits(self) -> None:
        store = self.store
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

    def test_packs_and_leases(self) -> None:
        store = self.store
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
