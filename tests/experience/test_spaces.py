"""Experiences lie apart: a search over notes never meets one, and one over experiences meets nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agentmem import Memory, Scope, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.extract import found_by
from agentmem.notes.clock import ManualClock
from agentmem.notes.spaces import both, lived
from agentmem.notes.tables import NEXT_VECTOR
from agentmem.remember.next_version import rewrite
from agentmem.settings import IndexSettings
from agentmem.stores.sqlite.seals import teach
from tests.former import SPACES, undo

Open = Callable[..., Memory]
HALLS = "There is a hall with a red door.", "A door of the hall is made of oak.", "The cellar has a chest."
INDEXED = Settings(index=IndexSettings(exact_limit=5, batch=5))


def act(memory: Memory, many: int, first: int = 0, **whose: str) -> None:
    for number in range(first, first + many):
        seen = f"a hall with a door numbered {number}"
        memory.experience.record("find the key", seen, "open the door", 1.0, None, **whose)


def hits(memory: Memory, query: str, **asked: object) -> list[tuple[str, float, dict[str, float]]]:
    return [(hit.note.content, hit.score, dict(hit.reasons)) for hit in memory.recall(query, k=20, **asked)]


def held(memory: Memory) -> dict[int, tuple[list[int], list[int]]]:
    """By space, whose vectors and whose words lie there."""
    with memory._parts.core.store.read() as tx:
        return {
            space: (tx.vectors.load_owner(space)[0].tolist(), tx.text.batch(space, 0, 10_000).rows.tolist())
            for space in both(tx.notes.all_owners())
        }


def apart(memory: Memory) -> bool:
    """Whether every vector and all words lie in the space of their note."""
    with memory._parts.core.store.read() as tx:
        rows = tx.notes.select_all()
        wanted = {space: (found, found) for space, found in tx.by_space(rows).items()}
    return {space: found for space, found in held(memory).items() if found[0] or found[1]} == wanted


# -- notes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("score", ["hybrid", "cosine"])
def test_notes_are_recalled_as_if_nothing_had_ever_been_done(clock: ManualClock, score: str) -> None:
    """The same notes with the same scores, part by part: what a word is worth is told by notes alone; and the same links."""
    found, links = [], []
    for many in (0, 60):
        with Memory(None, embedder="hash", clock=clock) as memory:
            act(memory, many // 2)
            links.append([[(link.kind, link.weight) for link in memory.remember(text).links] for text in HALLS])
            act(memory, many // 2, many)
            found.append([hits(memory, query, score=score) for query in ("a hall with a door", "oak", "the key")])

    assert found[0] == found[1]
    assert links[0] == links[1]


def test_the_words_of_an_experience_may_be_told_as_well(memory: Memory) -> None:
    """Then they are a note of their own, which is recalled, and not one more visit of what was done."""
    act(memory, 1)
    done = memory.notes()[0]

    told = memory.remember(done.content)
    again = memory.remember(done.content)

    assert told.status == "stored"
    assert (again.status, again.id) == ("merged", told.id)
    assert [hit.note.id for hit in memory.recall("a hall with a door")] == [told.id]


def test_a_link_to_an_experience_leads_no_search_there(memory: Memory) -> None:
    """It is in the graph, where it was put."""
    note = str(memory.remember("The key is under the mat.").id)
    act(memory, 1)
    done = memory.notes(where={"kind": "experience"})[0].id
    memory.link(note, done, reason="how it was found")

    assert [hit.note.id for hit in memory.recall("key under the mat")] == [note]
    assert memory.graph().has_edge(note, done)
    assert "filter leaves it out" in memory.why_not("key under the mat", done).reason
    asked = memory.recall("key under the mat", where={"kind": {"$in": ["episodic", "experience"]}})
    assert {hit.note.id for hit in asked} == {note, done}


def test_the_index_finds_as_many_notes_as_are_asked_for(open_memory: Open) -> None:
    """Experiences that lie nearer take no place among those that the vector index returns."""
    memory = open_memory(settings=INDEXED)
    memory.remember_many([f"The meadow number {number} is green." for number in range(30)], progress=False)
    act(memory, 30)
    memory.flush()

    found = memory.recall("a hall with a door numbered 3", k=30)

    assert found.plan["vectors"] == "chroma"
    assert {hit.note.kind for hit in found} == {"episodic"}
    assert len(found) == 30
    assert memory._parts.core.indexer.count(1) == memory._parts.core.indexer.count(lived(1)) == 30
    assert memory.check(deep=True).ok


# -- experiences ---------------------------------------------------------------------------------------------


def test_advice_looks_at_what_was_done_alone(clock: ManualClock) -> None:
    """Notes that lie nearer than any experience take no place among the candidates."""
    with Memory(None, embedder="hash", clock=clock) as memory:
        act(memory, 3)
        memory.remember_many([f"find the key: a hall with a door numbered {n}, note {n}" for n in range(90)])

        assert len(memory.experience.advise("find the key", "a hall with a door numbered 1").precedents) == 3


# -- whoever writes ------------------------------------------------------------------------------------------


def test_every_way_to_make_a_projection_anew_keeps_experiences_apart(open_memory: Open, tmp_path: Path) -> None:
    memory = open_memory()
    memory.remember_many(list(HALLS), user="ana", progress=False)
    act(memory, 5, user="ana")
    act(memory, 2)
    advice = memory.experience.advise("find the key", "a hall with a door numbered 1", user="ana")
    assert apart(memory)

    with memory._parts.core.store.write() as tx:
        for row in tx.notes.select_all():
            tx.vectors.delete([row])
        tx.text.clear()
    memory.rebuild("text")
    memory.rebuild("vectors")
    assert apart(memory)
    memory.reembed(HashEmbedder(128))
    assert apart(memory)
    memory.export(tmp_path / "all.jsonl", everything=True)
    copy = open_memory(name="copy")
    copy.load_export(tmp_path / "all.jsonl")

    assert apart(copy)
    assert copy.experience.advise("find the key", "a hall with a door numbered 1", user="ana") == advice
    assert [m.check(deep=True).problems for m in (memory, copy)] == [(), ()]


def test_what_is_said_about_an_experience_stays_with_it(memory: Memory) -> None:
    """Keywords that are added to it later are found among experiences, and nowhere else."""
    act(memory, 1)
    with memory._parts.core.store.write() as tx:
        (row,) = tx.notes.select_all()
        before = tx.notes.load([row])[row]
        rewrite(tx, row, before, replace(before, keywords=("quillwort",)), "described")
        assert "quillwort" in " ".join(found_by(tx.notes.load([row])[row]))

    assert not memory.recall("quillwort")
    assert len(memory.recall("quillwort", where={"kind": "experience"})) == 1
    assert apart(memory)
    assert memory.check(deep=True).ok


def test_an_imported_experience_that_was_made_here_is_a_note_like_any_other(open_memory: Open, tmp_path: Path) -> None:
    """Its value is that of the one made here; it has the terms, passages and links that its words make."""
    source, target = open_memory(name="source"), open_memory(name="target")
    for memory in (source, target):
        memory.experience.record("find the key of Ilva", "a hall " * 200, "open the door", 1.0, None)
    source.export(tmp_path / "all.jsonl", everything=True)

    assert len(target.load_export(tmp_path / "all.jsonl").met) == 1

    assert apart(target)
    assert target.check(deep=True).problems == ()


def test_one_of_many_sees_its_own_of_both(open_memory: Open) -> None:
    """What is told to somebody bound counts notes and experiences."""
    everybody = open_memory()
    everybody.remember(HALLS[0], user="ana")
    act(everybody, 2, user="ana")
    act(everybody, 3, user="ben")
    everybody.close()
    ana = open_memory(scope=Scope(user="ana"))

    assert (ana.stats()["vectors"], ana.stats()["experiences"]) == (3, 2)
    assert ana.check().ok


def test_check_says_when_an_experience_lies_among_notes(memory: Memory) -> None:
    act(memory, 1)
    with memory._parts.core.store.write() as tx:
        (row,) = tx.notes.select_all()
        tx.text.put(row, 1, *found_by(tx.notes.load([row])[row]))

    assert "1 words of another owner than their note, or not in its space" in str(memory.check())
    memory.rebuild("text")
    assert memory.check().ok


# -- a file from before --------------------------------------------------------------------------------------


def test_a_file_from_before_is_taken_apart_at_its_opening(open_memory: Open, tmp_path: Path) -> None:
    """Vectors, words, what waits for the index, and the index itself: nothing of an experience is left among notes, and no byte after forgetting."""
    told = {"user": "ana"}
    memory = open_memory(settings=INDEXED)
    memory.remember_many([f"The meadow number {number} is green." for number in range(20)], progress=False, **told)
    act(memory, 20, **told)
    before = hits(memory, "a hall with a door", where={"kind": "experience"}, **told)
    advice = memory.experience.advise("find the key", "a hall with a door numbered 3", **told)
    with memory._parts.core.store.write() as tx:  # a change of the embedder has begun
        (row,) = tx.next_vectors.missing(1, after=30)
        tx.next_vectors.begin("other", 4)
        tx.next_vectors.put([row], lived(2), np.ones((1, 4), np.float32))
    with closing(sqlite3.connect(tmp_path / "memory" / "notes.db")) as old, old:
        teach(old)
        undo(old.execute, SPACES)
    memory._parts.core.indexer.rebuild()
    assert memory._parts.core.indexer.count(2) == 40  # Ana's notes and experiences, in one
    memory.close()

    memory = open_memory(settings=INDEXED)

    assert apart(memory)
    with memory._parts.core.store.write() as tx:
        assert tx.tables.find(NEXT_VECTOR, {}, columns=("row", "owner")) == [(row, lived(2))]
        tx.next_vectors.drop()
    memory.flush()
    assert memory._parts.core.indexer.count(2) == memory._parts.core.indexer.count(lived(2)) == 20
    assert hits(memory, "a hall with a door", where={"kind": "experience"}, **told) == before
    assert memory.experience.advise("find the key", "a hall with a door numbered 3", **told) == advice
    assert memory.check(deep=True).problems == ()
    assert memory.forget({"kind": "experience"}, **told).gone
    assert memory._parts.core.indexer.count(lived(2)) == 0


def test_what_waits_for_the_index_is_taken_apart_as_well(open_memory: Open, tmp_path: Path) -> None:
    """A store that is too small for an index has everything in the queue."""
    memory = open_memory()
    memory.remember(HALLS[0])
    act(memory, 2)
    memory.close()
    with closing(sqlite3.connect(tmp_path / "memory" / "notes.db")) as old, old:
        teach(old)
        undo(old.execute, SPACES)

    with open_memory()._parts.core.store.read() as tx:
        assert [item.owner for item in tx.outbox.take(9)] == [1, lived(1), lived(1)]
