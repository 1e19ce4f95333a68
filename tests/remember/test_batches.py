"""What is written and read in fewer steps is what was written and read one by one."""

from __future__ import annotations

import math
import os
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Memory, Settings
from agentmem.notes.clock import ManualClock
from agentmem.notes.ids import IdMaker
from agentmem.notes.note import Scope
from agentmem.notes.rows import LinkRow
from agentmem.projections.linking import link_shares
from agentmem.settings import IndexSettings, RememberSettings
from agentmem.stores.sqlite.store import SqliteStore

NAMES = ("Ana", "Bruno", "Clara", "Dinis")
PLACES = ("Porto", "Madrid", "Oslo")
ITEMS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(PLACES), st.integers(0, 9), st.sampled_from(["u", "v"]), st.sampled_from([None, "s", "t"])),
    min_size=1, max_size=25,
)  # fmt: skip


def _written(
    items: list[tuple[str, str, int, str, str | None]], batch: int
) -> tuple[list[object], dict[str, list[object]]]:
    """Receipts and tables, by row, after storing the items in batches of some size."""
    chosen = Settings(remember=RememberSettings(batch=batch))
    with Memory(None, embedder="hash", clock=ManualClock(), settings=chosen) as memory:
        receipts = memory.remember_many(
            [
                {
                    "content": f"{name} lives in {place} at number {number}",
                    "user": user,
                    "session": session,
                    "actor": name,
                }
                for name, place, number, user, session in items
            ],
            progress=False,
        )
        store = memory._parts.core.store
        assert isinstance(store, SqliteStore)
        with store.read() as tx:
            rows = tx.notes.rows_of([r.id for r in receipts if r.id])
            tables = {
                "note": store._db.rows(
                    "SELECT id, owner, content, thread, position, valid_to, version, keywords FROM note ORDER BY id"
                ),
                "term": store._db.rows("SELECT * FROM term ORDER BY 1, 2, 3"),
                "link": store._db.rows(
                    "SELECT source, target, kind, reason FROM link WHERE kind <> 'similar' ORDER BY 1, 2, 3"
                ),
                "vector": store._db.rows("SELECT row, owner, data FROM vector ORDER BY row"),
                "outbox": sorted(store._db.rows("SELECT op, owner, row FROM outbox")),
            }
        said = [
            (
                r.status,
                rows.get(r.id or ""),
                sorted((link.kind, rows[link.source], rows[link.target]) for link in r.links if link.kind != "similar"),
            )
            for r in receipts
        ]
    return said, tables


@settings(max_examples=15, deadline=None)
@given(ITEMS)
def test_a_batch_writes_what_single_writes_write(items: list[tuple[str, str, int, str, str | None]]) -> None:
    """Same notes, places in threads, terms, links, vectors, outbox and receipts, whatever the size of the batches."""
    assert _written(items, 256) == _written(items, 1)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abcdef"), st.lists(st.integers(1, 12), min_size=1, max_size=8)), st.integers(0, 5)
)
def test_shared_terms_weigh_by_noisy_or(mentions: dict[str, list[int]], limit: int) -> None:
    """The weight of a pair is one minus the product of what each shared term leaves; the strongest come first, the newer before the older."""
    links = link_shares(99, mentions, rare=6, limit=limit)

    shared = {t: set(rows) for t, rows in mentions.items() if len(set(rows)) <= 6}
    wanted = {
        row: 1 - math.prod(1 - 1 / (1 + math.log(len(rows))) for rows in shared.values() if row in rows)
        for row in {row for rows in shared.values() for row in rows}
    }
    assert [(link.target, link.weight) for link in links] == sorted(
        wanted.items(), key=lambda pair: (-pair[1], -pair[0])
    )[:limit]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6), st.sampled_from(["next", "shares", "similar", "user"])), max_size=30),
    st.sets(st.integers(1, 6)), st.sets(st.sampled_from(["shares", "similar", "next"])),
)  # fmt: skip
def test_links_touching_rows_are_found_once_from_either_end(
    links: list[tuple[int, int, str]], rows: set[int], without: set[str]
) -> None:
    """Each link that has an end among the rows, once, unless its kind is left out."""
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        memory.remember_many([f"thing number {i}" for i in range(6)], progress=False)
        with memory._parts.core.store.write() as tx:
            tx.links.delete_rows(tx.notes.select_all())
            held = {link for link in links if link[0] != link[1]}
            tx.links.put([LinkRow(a, b, kind, 0.5, "") for a, b, kind in sorted(held)])
            found = [
                (link.source, link.target, link.kind)
                for link in tx.links.touching(sorted(rows), without=sorted(without))
            ]

    assert found == sorted(link for link in held if {link[0], link[1]} & rows and link[2] not in without)


def test_the_index_holds_nothing_before_a_request_could_ask_it(tmp_path: Path) -> None:
    """A small store builds no index, neither beside the requests nor on closing; a store larger than the limit does, and is answered by it."""
    few = Settings(index=IndexSettings(exact_limit=100, batch=10))
    with Memory(tmp_path / "m", embedder="hash", settings=few) as memory:
        memory.remember_many([f"crate number{i} holds item{i}" for i in range(60)], user="ana", progress=False)
        assert memory.recall("crate number33", user="ana").plan["vectors"] == "exact"
    assert not list((tmp_path / "m").glob("index-*/chroma*"))

    with Memory(tmp_path / "m", embedder="hash", settings=few) as memory:
        assert memory.check().ok
        memory.remember_many([f"box number{i} holds thing{i}" for i in range(60)], user="ana", progress=False)
    assert list((tmp_path / "m").glob("index-*/chroma*"))

    with Memory(tmp_path / "m", embedder="hash", settings=few) as memory:
        found = memory.recall("crate number33 item33", user="ana", k=3)
        assert found.plan["vectors"] == "chroma"
        assert found[0].note.content == "crate number33 holds item33"
        assert memory.check().ok


def test_an_index_that_is_far_behind_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits in the outbox beyond what would be compared exactly must not be missed: then all vectors are compared."""
    monkeypatch.setattr("agentmem.recall.search.WAITING", 5)
    chosen = Settings(index=IndexSettings(exact_limit=0, batch=10_000, flush_on_close=False))
    with Memory(tmp_path / "m", embedder="hash", settings=chosen) as memory:
        memory.remember_many([f"crate number{i} holds item{i}" for i in range(20)], progress=False)
        memory.flush()
        assert memory.recall("crate number3 item3").plan["vectors"] == "chroma"
        memory.remember_many([f"box number{i} holds thing{i}" for i in range(6)], progress=False)
        found = memory.recall("box number5 thing5", k=1)
        assert found.plan["vectors"] != "chroma"
        assert found[0].note.content == "box number5 holds thing5"


def test_ids_are_sorted_unique_uuids_also_across_a_fork() -> None:
    """Parent and child draw different random bits, though both began with the same page of them."""
    make = IdMaker(ManualClock())
    first = [make() for _ in range(1000)]
    assert first == sorted(set(first))
    assert all(i[14] == "7" and i[19] in "89ab" and len(i) == 36 for i in first)

    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, make().encode())
        os._exit(0)
    os.waitpid(child, 0)
    mine, theirs = make(), os.read(reader, 64).decode()
    os.close(reader)
    os.close(writer)
    assert mine[:18] == theirs[:18]
    assert mine[19:] != theirs[19:]


def test_an_injected_generator_makes_the_same_ids() -> None:
    """With a generator of one's own, ids can be made again."""
    one, other = (IdMaker(ManualClock(), random.Random(7)) for _ in range(2))
    assert [one() for _ in range(5)] == [other() for _ in range(5)]


def test_an_owner_made_in_a_failed_write_is_not_remembered() -> None:
    """Its number may be given to somebody else, whose notes must not be refused."""
    with Memory(None, embedder="hash", clock=ManualClock()) as memory:
        memory.remember("the first note", user="ana")
        core = memory._parts.core

        def broken() -> None:
            with core.store.write() as tx:
                owner = tx.notes.owner(Scope(user="ben"), create=True)
                assert owner is not None
                note = next(iter(tx.notes.load([1]).values()))
                from dataclasses import replace

                tx.notes.insert(replace(note, id=core.new_id(), scope=Scope(user="ben")), owner, b"x" * 32)
                raise RuntimeError("undone")

        with pytest.raises(RuntimeError):
            broken()
        memory.remember("the second note", user="clara")
        assert [note.content for note in memory.notes(user="clara")] == ["the second note"]
