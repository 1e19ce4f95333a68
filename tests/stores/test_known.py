"""What a read answers from memory is what the table says, whoever wrote and whatever failed in between."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem.notes.rows import LinkRow, Selection
from agentmem.recall.rank import FAINT
from agentmem.records.known import KnownRows
from agentmem.stores.sqlite.store import SqliteStore
from agentmem.stores.sqlite.tables import SqliteTables

ALL = Selection((1,), archived=True)


class Stop(Exception):
    """Makes a write fail."""


def _filled(store: SqliteStore, make, count: int = 6) -> list[int]:
    with store.write() as tx:
        rows = [tx.notes.insert(make(n), 1, n.to_bytes(32, "big")) for n in range(count)]
        tx.links.put([LinkRow(a, b, "next", 1.0, "") for a, b in pairwise(rows)])
    return rows


def _seen(store: SqliteStore, rows: list[int]) -> tuple[object, object]:
    with store.read() as tx:
        return tx.notes.facets(rows, ALL), tx.links.touching(rows, without=FAINT)


def _fresh(path: Path, rows: list[int]) -> tuple[object, object]:
    store = SqliteStore(path)
    try:
        return _seen(store, rows)
    finally:
        store.close()


def _change(tx, rows: list[int], step: tuple[str, int, int]) -> None:
    what, a, b = step
    first, second = rows[a % len(rows)], rows[b % len(rows)]
    if what == "state":
        tx.notes.set_states([(first, float(b + 1), 5.0, b, a)])
    elif what == "archive":
        tx.notes.set_archived([first], None if b % 2 else b)
    elif what == "close" and tx.notes.load([first]):
        tx.notes.close_validity(first, 10 + b, "ended")
    elif what == "delete":
        tx.links.delete_rows([first])
        tx.notes.delete([first])
    elif what == "link" and first != second and len(tx.notes.load([first, second])) == 2:
        tx.links.put([LinkRow(first, second, "user", 0.5, "said so")])
    elif what == "unlink":
        tx.links.delete(first, second)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["state", "archive", "close", "delete", "link", "unlink", "read"]),
        st.integers(0, 5), st.integers(0, 5), st.sampled_from(["here", "elsewhere", "failed", "half"]),
    ),
    max_size=14,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_what_is_kept_in_memory_is_what_the_table_says(steps, make, tmp_path_factory) -> None:
    """After any writes, by this connection or another, complete, failed or failed in part."""
    path = tmp_path_factory.mktemp("known") / "notes.db"
    store, other = SqliteStore(path), SqliteStore(path)
    try:
        rows = _filled(store, make)
        for what, a, b, how in steps:
            if what == "read":
                _seen(store, rows)
                continue
            try:
                with (other if how == "elsewhere" else store).write() as tx:
                    try:
                        with store.write() if how == "half" else other.read():
                            _change(tx, rows, (what, a, b))
                            if how in ("failed", "half"):
                                raise Stop  # noqa: TRY301
                    except Stop:
                        if how == "failed":
                            raise
            except Stop:
                pass
            assert _seen(store, rows) == _fresh(path, rows)
    finally:
        store.close()
        other.close()


def test_rows_are_read_once_until_they_change(make) -> None:
    """Asking again costs no statement; a changed row alone is read again."""
    read: list[str] = []
    store = SqliteStore(None, tracer=lambda sql, _: read.append(sql))
    rows = _filled(store, make)
    _seen(store, rows)
    read.clear()
    _seen(store, rows)

    assert not [sql for sql in read if "FROM json_each" in sql]
    with store.write() as tx:
        tx.notes.set_states([(rows[2], 9.0, 5.0, 7, 1)])
    with store.read() as tx:
        assert tx.notes.facets(rows, ALL)[2].stability == 9.0
    store.close()


def test_what_was_deleted_does_not_stay_in_memory(make) -> None:
    """Forgetting a note takes its facets, and every link that may have named it, out of memory."""
    store = SqliteStore(None)
    rows = _filled(store, make)
    _seen(store, rows)
    with store.write() as tx:
        tx.notes.delete([rows[0]])
        kept = [tx.notes._facets._values, *(known._values for known in tx.links._touching.values())]  # type: ignore[attr-defined]

    assert kept == [{}, {}]
    assert _seen(store, rows)[0] == _seen(store, rows[1:])[0]
    store.close()


def test_so_many_rows_are_kept_and_no_more(make) -> None:
    store = SqliteStore(None)
    known: KnownRows[int] = KnownRows(SqliteTables(store._db), most=4)
    with store.read():
        for start in range(0, 40, 3):
            assert known.get(range(start, start + 3), lambda rows: {row: -row for row in rows}) == {
                row: -row for row in range(start, start + 3)
            }
            assert len(known._values) <= 4
    store.close()


@pytest.mark.parametrize("archived", [True, False])
@pytest.mark.parametrize("session", [None, "s1"])
@pytest.mark.parametrize(("closed", "as_of"), [(True, None), (False, None), (False, 15)])
def test_facets_are_admitted_as_the_table_admits_them(make, archived, session, closed, as_of) -> None:
    """The condition in Python and the condition in SQL are the same one."""
    store = SqliteStore(None)
    rows = _filled(store, make)
    with store.write() as tx:
        tx.notes.close_validity(rows[1], 10, "ended")
        tx.notes.close_validity(rows[2], 10**18, "will end")
        tx.notes.set_archived([rows[3]], 5)
    selection = Selection((1,), session=session, archived=archived, closed=closed, as_of=as_of)
    with store.read() as tx:
        from_memory = [f.row for f in tx.notes.facets(rows, selection)]
        from_table = sorted(tx.notes.select(selection))

    assert from_memory == from_table
    store.close()
