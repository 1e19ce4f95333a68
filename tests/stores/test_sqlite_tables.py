"""What each table of a store promises."""

from __future__ import annotations

from datetime import UTC, datetime

from agentmem.notes.note import Scope

ANA, BEN, BOT = Scope(user="ana"), Scope(user="ben"), Scope(agent="bot")
DAY = 86_400_000_000
MAY = datetime(2026, 5, 1, tzinfo=UTC)


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


def test_check_finds_what_does_not_fit(store, make, put) -> None:
    """A note without words, words of another owner than their note, and words that nobody could follow, are named."""
    with store.write() as tx:
        row, other, third = (put(tx, make(i)) for i in range(3))
        owner = tx.notes.owner(Scope(user="ana"), create=True)
        tx.text.delete([row])
        tx.text.put(other, owner, "somebody else's", "")
        store._db.run("DELETE FROM words_change WHERE row = ?", (third,))
    assert [problem.split(" ", 1) for problem in store.check()] == [
        ["1", "words of another owner than their note, or not in its space"],
        ["1", "changes of another owner than their note, or not in its space"],
        ["1", "notes without words"],
        ["1", "words that the change log does not know"],
    ]
