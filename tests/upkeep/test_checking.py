"""check() names what differs, whatever was damaged; a rebuild cures it, and leaves what only people and use know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentmem import Memory
from agentmem.notes.clock import ManualClock
from agentmem.projections import links as relating
from agentmem.stores.sqlite import schema
from agentmem.stores.sqlite.seals import teach
from tests.former import LEDGER, undo

TURNS = (
    "Ana lives in Porto.",
    "Ana likes green tea from Porto.",
    "Bruno plays chess with Ana in Porto.",
    "The green tea of Bruno is from Kyoto.",
    "Ana lives in Porto and likes green tea.",
    "Yesterday Ana and Bruno played chess in Porto.",
)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Memory]:
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock()) as opened:
        opened.remember_many(list(TURNS), user="ana", session="s", progress=False)
        opened.update(opened.notes(user="ana")[0].id, "Ana lives in Porto now.", user="ana")
        yield opened


def damage(memory: Memory, sql: str, *values: object) -> None:
    """Change the file behind the memory's back."""
    assert memory.path is not None
    with closing(sqlite3.connect(memory.path / "notes.db")) as connection, connection:
        assert connection.execute(sql, values).rowcount > 0


def contents(memory: Memory) -> list[tuple[object, ...]]:
    with memory._parts.core.store.read() as tx:
        return sorted(k._replace(weight=round(k.weight, 3)) for k in tx.links.touching(tx.notes.select_all()))


DAMAGES = {
    "a link gone": ("DELETE FROM link WHERE (source, target, kind) = (SELECT source, target, kind FROM link WHERE kind = 'shares' LIMIT 1)", "links", "graph"),
    "another weight": ("UPDATE link SET weight = weight / 2 WHERE kind = 'similar'", "links", "graph"),
    "another reason": ("UPDATE link SET reason = 'both mention “love”' WHERE kind = 'shares'", "links", "graph"),
    "a link too many": ("INSERT INTO link (source, target, kind, weight, reason, derived) VALUES (1, 5, 'similar', 0.9, 'similar in meaning (0.90)', 1)", "links", "graph"),
    "a term gone": ("DELETE FROM term WHERE row = 2", "terms", "graph"),
    "another term": ("UPDATE term SET term = 'lisbon' WHERE term = 'porto' AND row = 1", "terms", "graph"),
    "a vector of other words": ("UPDATE vector SET data = (SELECT data FROM vector WHERE row = 4) WHERE row = 2", "vector", "vectors"),
    "a short vector": ("UPDATE vector SET data = substr(data, 1, 20) WHERE row = 2", "vectors", "vectors"),
    "words in the index": ("UPDATE words SET content = (SELECT content FROM words WHERE row = 4) WHERE row = 1", "full text", "text"),
    "words too many": ("UPDATE words SET context = (SELECT content FROM words WHERE row = 4) WHERE row = 2", "full text", "text"),
    "words of nobody": ("UPDATE words SET content = x'00' WHERE row = 2", "full text", "text"),
    "a time gone": ("DELETE FROM telling", "otherwise", "readings"),
    "another time": ("UPDATE telling SET start = start - 1", "otherwise", "readings"),
    "a time too many": ("INSERT INTO telling (row, owner, start, until) SELECT id, owner, 0, 1 FROM note WHERE id = 1", "otherwise", "readings"),
    "a statement that asks": ("INSERT OR REPLACE INTO intent (row, likely, owner) SELECT id, 99, owner FROM note WHERE id = 1", "otherwise", "readings"),
    "words gone": ("DELETE FROM words WHERE row = 3", "full text", "text"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_projection_is_named_and_rebuilt(memory: Memory, name: str) -> None:
    """Whatever row of a projection is changed, check() says which projection to rebuild, and that makes it what it was."""
    assert memory.check().ok, memory.check()
    before = contents(memory)
    sql, what, projection = DAMAGES[name]
    damage(memory, sql)

    problems = memory.check().problems
    assert any(what in problem for problem in problems), problems
    assert any(f"rebuild('{projection}')" in problem for problem in problems), problems
    memory.rebuild(projection)
    assert memory.check(deep=True).ok, memory.check(deep=True)
    assert contents(memory) == before


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE note SET content = replace(content, 'Porto', 'porto') WHERE id = 2",
        "UPDATE note SET context = 'From hell.' WHERE id = 2",
        "UPDATE note SET occurred_at = occurred_at + 1 WHERE id = 2",
        "UPDATE note SET tags = '[\"love\"]' WHERE id = 2",
        "UPDATE note_version SET content = 'Ana lived in Lisbon.' WHERE row = 1",
        "UPDATE fact SET object = 'Lisbon' WHERE row = 5",
        "DELETE FROM fact WHERE row = 5",
        "UPDATE note SET content = CAST(x'ff41' AS TEXT) WHERE id = 2",
    ],
)
def test_damage_inside_a_note_is_named(memory: Memory, sql: str) -> None:
    """One byte of a text, a time or a fact that is not what was written: check() names the note, although SQLite finds nothing."""
    damage(memory, sql)
    with memory._parts.core.store.read() as tx:
        ids = tx.notes.ids_of([1, 2, 5])

    assert any(
        "is not what was written" in p and any(id in p for id in ids.values()) for p in memory.check().problems
    ), memory.check()


def test_check_finds_nothing_without_comparing(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The null control: with the comparison of links switched off, a lost link goes unnoticed."""
    monkeypatch.setattr(relating.WordLinks, "differences", lambda self, rows: ([], []))
    damage(memory, DAMAGES["a link gone"][0])

    assert memory.check().ok


def test_links_that_people_and_use_made_survive(memory: Memory) -> None:
    """Also those of a kind that words make, whether words make that very link or not; with the weight that the person gave."""
    ids = [note.id for note in memory.notes(user="ana")]
    with memory._parts.core.store.read() as tx:
        made = next(link for link in tx.links.touching(tx.notes.select_all(), ["similar"]))
        ends = tx.notes.ids_of(made[:2])
    memory.link(ends[made.source], ends[made.target], "similar", reason="both are about tea", weight=0.3, user="ana")
    memory.link(ids[0], ids[3], "similar", reason="I say so", weight=0.7, user="ana")
    memory.link(ids[4], ids[0], "next", reason="a loop", user="ana")
    memory.reinforce(ids[:3], user="ana")
    before = contents(memory)

    memory.rebuild("graph")
    memory.update(ids[0], "Bruno moved to Oslo.", user="ana")
    kept = {(k[2], k[4]) for k in contents(memory)}

    assert memory.check(deep=True).ok
    assert {("similar", "both are about tea"), ("similar", "I say so"), ("next", "a loop")} <= kept
    assert next(k for k in before if k[4] == "both are about tea")[3] == 0.3
    assert any(kind == "used_together" for kind, _ in kept)


def test_rebuilding_makes_no_fewer_links(tmp_path: Path) -> None:
    """Of many notes about few things every link comes back, `shares` among them, although later notes are nearer than earlier ones."""
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock()) as memory:
        texts = [f"{name} met {other} at the harbour of {place} on day {n}" for n, (name, other, place) in enumerate(
            (a, b, c) for a in ("Ana", "Bruno", "Clara") for b in ("Dario", "Eva", "Femi", "Gus") for c in ("Porto", "Bergen", "Oslo", "Kyoto", "Lima"))]  # fmt: skip
        memory.remember_many(texts, user="ana", session="s", progress=False)
        before = contents(memory)
        assert {link[2] for link in before} == {"next", "similar", "shares"}
        memory.rebuild("graph")

        assert contents(memory) == before


def test_links_of_a_former_version_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store from before links said what made them: the reasons that only words give mark those that can be made again."""
    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock()) as memory:
        memory.remember_many(list(TURNS), user="ana", session="s", progress=False)
        ids = [note.id for note in memory.notes(user="ana")]
        memory.link(ids[0], ids[3], "similar", reason="I say so", user="ana")
        before = contents(memory)
    names = [name for name, _ in schema.MIGRATIONS]
    number = names.index("links that words make")
    with closing(sqlite3.connect(tmp_path / "m" / "notes.db")) as old, old:
        teach(old)
        undo(old.execute, LEDGER)
        old.execute("ALTER TABLE link DROP COLUMN derived")
        old.execute("ALTER TABLE note_version DROP COLUMN seal")
        for table in ("seal", "erasing", "scrubbed", "words", "words_change"):
            old.execute(f"DROP TABLE {table}")
        old.execute("DELETE FROM meta WHERE key = 'words'")
        old.execute("CREATE VIRTUAL TABLE fts USING fts5(content, context, scope)")
        old.execute("DELETE FROM migration WHERE number > ?", (number,))
        old.execute(f"PRAGMA user_version={number}")

    with Memory(tmp_path / "m", embedder="hash", clock=ManualClock()) as memory:
        assert contents(memory) == before
        assert memory.check(deep=True).ok, memory.check(deep=True)
        memory.rebuild("graph")
        assert contents(memory) == before


def test_every_way_of_writing_seals() -> None:
    """A note that was stored, imported, changed, merged, closed or described is what was written."""
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        first = memory.remember("Ana lives in Porto.", user="ana")
        memory.remember("Ana lives in Porto.", user="ana", tags=["home"])
        memory.remember("Ana lives in Oslo.", user="ana", valid_from="2027-01-01T00:00:00+00:00")
        memory.update(str(first.id), "Ana lives in Lima.", user="ana")
        memory.fade()

        assert memory._parts.core.store.check() == []
