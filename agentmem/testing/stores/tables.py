"""Plain tables: conditions mean what they say, and nothing hangs in the air."""

from __future__ import annotations

from typing import Any

import pytest

from agentmem.errors import InvalidArgument, StoreError
from agentmem.notes.tables import LEASE, LEDGER, NOTE, TERM, TOMBSTONE, VECTOR, VERSION, Among, Each, Span, Without
from agentmem.testing.stores.suite import StoreSuite

__all__ = ["TablePromises"]


class TablePromises(StoreSuite):
    """What a store promises of each of its tables."""

    def test_conditions_mean_what_they_say(self) -> None:
        """Values, lists, bounds, order, limits: each as in a filter written by hand."""
        with self.store.write() as tx:
            row, tables = self.put(tx, self.note(1)), tx.tables
            tables.put(VERSION, [(row, version, 10 * version, f"v{version}", "why") for version in range(1, 8)])

            def versions(**test: Any) -> list[int]:
                return [found[1] for found in tables.find(VERSION, test)]

            assert versions(version=3) == [3]
            assert versions(version=Among([5, 2, 2, 99])) == [2, 5]
            assert versions(version=Among([])) == []
            assert versions(content=Without(["v1", "v2"]), version=Span(below=5)) == [3, 4]
            assert versions(changed_at=Span(above=20, most=50)) == [3, 4, 5]
            assert versions(changed_at=Span(least=20, below=50), content=Among(["v2", "v4"])) == [2, 4]
            assert versions(content=Span(least="v2", below="v4")) == [2, 3]
            newest = tables.find(VERSION, {"row": row}, columns=("version",), newest=True, limit=2)
            assert newest == [(7,), (6,)]
            assert tables.count(VERSION, {}) == 7
            assert tables.count(VERSION, {}, most=3) == 3

    def test_any_number_of_byte_strings_is_asked_for_at_once(self) -> None:
        """However many, each row comes once and is counted once, also where a value is named twice."""
        marks = [number.to_bytes(4, "big") for number in range(1_500)]
        with self.store.write() as tx:
            tx.tables.put(TOMBSTONE, [(1, mark, place) for place, mark in enumerate(marks)])
            asked = {"owner": 1, "mac": Among([*marks[:-1], b"none", *marks[:700]])}

            found = tx.tables.find(TOMBSTONE, asked, columns=("at",), order=())
            assert sorted(at for (at,) in found) == list(range(1_499))
            assert tx.tables.count(TOMBSTONE, asked) == 1_499

    def test_rows_are_put_kept_changed_and_deleted(self) -> None:
        """By their key: in the place of what is there, or beside it."""
        with self.store.write() as tx:
            row, tables = self.put(tx, self.note(1)), tx.tables
            tables.put(VERSION, [(row, version, 0, f"v{version}", "why") for version in range(1, 8)])

            assert tables.change(VERSION, {"version": Span(above=5)}, {"reason": "other"}) == 2
            assert tables.find(VERSION, {"reason": "other"}, columns=("version",)) == [(6,), (7,)]
            tables.put(VERSION, [(row, 7, 0, "new", "why"), (row, 8, 0, "new", "why")], keep=True)
            assert tables.find(VERSION, {"content": "new"}, columns=("version",)) == [(8,)]
            tables.put(VERSION, [(row, 7, 0, "new", "why")])
            assert tables.count(VERSION, {"content": "new"}) == 2
            assert tables.delete(VERSION, {"version": Span(most=3)}) == 3
            assert tables.count(VERSION, {}) == 5

    def test_one_change_writes_each_row_what_is_its_own(self) -> None:
        """Line by line, as so many changes would: in plain, sealed and numbered tables, beside what is one for all; nothing is changed for no line."""
        with self.store.write() as tx:
            row, tables = self.put(tx, self.note(1)), tx.tables
            other = self.put(tx, self.note(2))
            tables.put(VERSION, [(row, version, 0, f"v{version}", "why") for version in range(1, 6)])

            told = Each(["five", "one", "none"])
            assert (
                tables.change(VERSION, {"row": row, "version": Each([5, 1, 9])}, {"content": told, "reason": "each"})
                == 2
            )
            assert tables.find(VERSION, {"reason": "each"}, columns=("version", "content")) == [(1, "one"), (5, "five")]
            assert tables.change(VERSION, {"version": Each([2, 3])}, {"content": "same"}) == 2
            assert tables.change(VERSION, {"version": Among([4]), "row": Each([row, other])}, {"changed_at": 7}) == 1
            assert tables.find(VERSION, {"changed_at": 7}, columns=("version",)) == [(4,)]
            assert tables.change(VERSION, {"version": Each([])}, {"content": Each([])}) == 0
            weighed = Each([0.25, 0.75])
            assert tables.change(NOTE, {"id": Each([other, row])}, {"importance": weighed, "actor": "Ana"}) == 2
            columns = ("id", "importance", "actor")
            assert tables.find(NOTE, {}, columns=columns) == [(row, 0.75, "Ana"), (other, 0.25, "Ana")]
            with pytest.raises(InvalidArgument, match="length"):
                tables.change(NOTE, {"id": Each([row])}, {"recalls": Each([1, 2])})
        assert self.store.check() == []

    def test_values_come_once_and_in_order(self) -> None:
        """However many rows bear one; nothing is no value."""
        with self.store.write() as tx:
            for number, edit in enumerate(("b", None, "a", "b", "c", "a")):
                tx.tables.put(LEDGER, [(None, number, "x" if number < 4 else "y", None, edit, "{}", None)])

            assert tx.tables.values(LEDGER, {}, "edit_id") == ["a", "b", "c"]
            assert tx.tables.values(LEDGER, {"event": "x"}, "edit_id") == ["a", "b"]
            assert tx.tables.values(LEDGER, {"event": "z"}, "edit_id") == []

    def test_nothing_and_something_are_told_apart(self) -> None:
        """What is not there is asked for by itself, and is no value; it comes before all that is."""
        with self.store.write() as tx:
            tables = tx.tables
            for edit in (None, "b", "a"):
                tables.put(LEDGER, [(None, 1, "x", None, edit, "{}", None)])

            def edits(**test: Any) -> list[Any]:
                return [edit for (edit,) in tables.find(LEDGER, test, columns=("edit_id",), order=("edit_id",))]

            assert edits() == [None, "a", "b"]
            assert edits(edit_id=None) == [None]
            assert edits(edit_id=Span()) == ["a", "b"]
            assert edits(edit_id=Span(above="a")) == ["b"]

    def test_numbers_grow_and_are_given_once(self) -> None:
        """The number of a line that was removed is nobody else's."""
        with self.store.write() as tx:
            first = tx.tables.put(LEDGER, [(None, 1, "x", None, None, "{}", None)])
            tx.tables.delete(LEDGER, {"seq": first})
            second = tx.tables.put(
                LEDGER, [(None, 1, "x", None, None, "{}", None), (None, 2, "y", None, None, "{}", None)]
            )

            assert second > first + 1
            assert tx.tables.find(LEDGER, {}, columns=("event",)) == [("x",), ("y",)]

    def test_the_first_of_each_are_those_that_sorting_all_would_give(self) -> None:
        """Per value at most so many rows, from either end, and within the other conditions."""
        with self.store.write() as tx:
            tables = tx.tables
            for number, terms in enumerate((["a", "b"], ["a"], ["a", "c"], ["b"], ["a"]), 1):
                assert self.put(tx, self.note(number)) == number
                tables.put(TERM, [(1, term, number) for term in terms])

            def first(limit: int, *, newest: bool = False, **rest: Any) -> list[tuple[Any, ...]]:
                where = {"owner": 1, "term": Among(["b", "a", "z"]), **rest}
                return tables.find_of_each(
                    TERM, where, "term", columns=("term", "row"), order="row", limit=limit, newest=newest
                )

            assert first(2) == [("b", 1), ("b", 4), ("a", 1), ("a", 2)]
            assert first(2, newest=True) == [("b", 1), ("b", 4), ("a", 3), ("a", 5)]
            assert first(1, newest=True, row=Span(below=4)) == [("b", 1), ("a", 3)]
            assert first(0) == []

    def test_notes_that_lack_a_row_are_found(self) -> None:
        """In order, beyond one, so many, and only those that say enough."""
        with self.store.write() as tx:
            rows = [self.put(tx, self.note(number, content="x" * number)) for number in range(5)]
            tx.vectors.delete(rows)
            tx.vectors.put([rows[3]], 1, self.unit(1))

            assert tx.tables.lacking(VECTOR) == [rows[0], rows[1], rows[2], rows[4]]
            assert tx.tables.lacking(VECTOR, after=rows[0], limit=2) == [rows[1], rows[2]]
            assert tx.tables.lacking(VECTOR, longer=0) == [rows[1], rows[2], rows[4]]
            assert tx.tables.lacking(VECTOR, longer=1, limit=1) == [rows[2]]

    def test_a_row_about_no_note_is_refused(self) -> None:
        """Nothing hangs in the air: what names a note needs it, and goes with it."""
        with pytest.raises(StoreError, match="contradicts"), self.store.write() as tx:
            tx.tables.put(TERM, [(1, "apples", 99)])
        with self.store.write() as tx:
            row = self.put(tx, self.note(1))
            tx.tables.put(TERM, [(1, "apples", row)])
            tx.notes.delete([row])
            assert tx.tables.count(TERM, {}) == 0

    def test_every_change_of_a_logged_row_is_in_the_log_once(self) -> None:
        """The newest of each, in the order of the changes, removals too; so that what is held in memory can follow."""
        with self.store.write() as tx:
            rows = [self.put(tx, self.note(number), self.unit(1)[0]) for number in range(3)]
            before = tx.vectors.counter()
            tx.vectors.put([rows[1]], 1, self.unit(1, seed=1))
            tx.vectors.delete([rows[0]])
            tx.vectors.put([rows[1]], 1, self.unit(1, seed=2))

            assert [(change.row, change.removed) for change in tx.vectors.changes(before)] == [
                (rows[0], True),
                (rows[1], False),
            ]
            assert tx.vectors.counter() > before
            tx.notes.delete([rows[2]])
            assert [(change.row, change.removed) for change in tx.vectors.changes(before)][-1] == (rows[2], True)

    def test_what_was_read_is_known_to_be_out_of_date(self) -> None:
        """A failed write and a deletion change the moment; whoever keeps rows in memory is told of the deletion at once."""
        told: list[str] = []
        with self.store.write() as tx:
            tx.tables.when_invalidated(lambda: told.append("deleted"))
            row = self.put(tx, self.note(1))
        with self.store.read() as tx:
            before = tx.tables.moment()
            assert not tx.tables.writing
        with pytest.raises(ZeroDivisionError), self.store.write() as tx:
            assert tx.tables.writing
            tx.tables.put(LEASE, [("name", "holder", 1)])
            raise ZeroDivisionError
        with self.store.read() as tx:
            assert tx.tables.moment() != before
            before = tx.tables.moment()
        with self.store.write() as tx:
            tx.notes.delete([row])
        with self.store.read() as tx:
            assert tx.tables.moment() != before
        assert told
