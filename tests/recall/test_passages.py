"""Long notes: found by any part of them, quoted by it, and forgotten with all of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem import Memory, Settings
from agentmem.embedding.embedders import HashEmbedder
from agentmem.llm.clients import CallableModel
from agentmem.notes.passages import LONG, MOST, NEAREST, SIZE, passages
from agentmem.notes.tables import PASSAGE
from agentmem.settings import IndexSettings

FILLER = [f"The {thing} was {state} again and nobody in the office could say why that was." for thing in
          ("printer", "window", "lift", "heating", "coffee machine", "projector", "door", "lamp") for state in ("broken", "slow")]  # fmt: skip
DETAIL = "Marta keeps her spare key under the blue flowerpot."
REPORT = " ".join([*FILLER[:14], DETAIL, *FILLER[14:]])
QUESTION = "Where does Marta keep her spare key?"


def _passages(path: Path) -> int:
    with sqlite3.connect(path / "notes.db") as database:
        return int(database.execute("SELECT count(*) FROM passage").fetchone()[0])


# -- reading in passages -----------------------------------------------------------------------------------------


@given(st.text(st.sampled_from("ab .!?\n"), max_size=6 * LONG))
def test_passages_hold_every_word_in_order_and_none_is_too_long(text: str) -> None:
    parts = passages(text)

    assert bool(parts) == (len(text) > LONG and bool(text.strip()))
    assert "".join("".join(parts).split()) == ("".join(text.split()) if parts else "")
    assert all(0 < len(part) <= SIZE + SIZE // 2 + 1 for part in parts)


def test_passages_break_between_sentences_and_a_very_long_text_has_longer_ones() -> None:
    assert all(part[-1] == "." for part in passages(REPORT))
    assert passages("x" * LONG) == []
    assert "".join(passages("x" * (LONG + 1))) == "x" * (LONG + 1)
    assert len(passages("A short sentence. " * 20_000)) <= 2 * MOST


# -- recall --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "index", [IndexSettings(), IndexSettings(backend="exact"), IndexSettings(exact_limit=0, batch=1)]
)
def test_a_detail_of_a_long_note_is_found_by_the_passage_it_stands_in(tmp_path: Path, index: IndexSettings) -> None:
    """Its cosine is moved towards that of its nearest passage, and the hit says which; a search by the index does not lose it either."""
    embedder = HashEmbedder()
    with Memory(tmp_path / "memory", embedder=embedder, settings=Settings(index=index)) as memory:
        told = memory.remember(REPORT).id
        memory.remember_many([f"Marta has {n} keys on her desk." for n in range(30)], progress=False)
        memory.flush()
        hit = next(hit for hit in memory.recall(QUESTION, k=40) if hit.note.id == told)
        short = memory.recall("How many keys has Marta?")[0]

    query = embedder.embed([QUESTION])[0]
    nearest = embedder.embed(passages(REPORT)) @ query
    assert hit.passage == passages(REPORT)[int(np.argmax(nearest))]
    assert DETAIL in hit.passage
    whole = float(embedder.embed([REPORT])[0] @ query)
    assert nearest.max() > 1.5 * whole
    assert hit.reasons["semantic"] == pytest.approx(whole + NEAREST * (float(nearest.max()) - whole), abs=2e-3)
    assert short.passage is None


def test_a_prompt_without_room_for_a_long_note_quotes_its_passage(memory: Memory) -> None:
    """All of it where it fits; only the passage, marked as a part, where that is all there is room for."""
    told = memory.remember(REPORT)
    memory.remember("Marta likes flowers.")
    found = memory.recall(QUESTION)

    whole, part = found.context(max_tokens=2_000), found.context(max_tokens=220)
    assert REPORT in whole
    assert REPORT not in part
    assert f"… {found[0].passage} …" in part
    assert "Marta likes flowers." in part
    assert [hit.by_passage for hit in found.within(2_000)] == [False, False]
    assert {hit.note.id: hit.by_passage for hit in found.within(220)}[told.id] is True
    assert found.within(220)[0].note.content == REPORT
    assert found.context(max_tokens=20) == ""


def test_an_answer_is_made_from_the_passage_and_names_the_whole_note(clock: object) -> None:
    asked: list[str] = []

    def answer(messages: list[dict[str, str]], **_: object) -> str:
        asked.append(messages[0]["content"])
        return "Under the blue flowerpot."

    with Memory(None, embedder="hash", llm=CallableModel(answer)) as memory:
        told = memory.remember(REPORT).id
        found = memory.ask(QUESTION, context_tokens=200)

    assert DETAIL in asked[0]
    assert REPORT not in asked[0]
    assert [(note.id, note.content) for note in found.notes] == [(told, REPORT)]
    assert [note.id for note in found.used] == [told]


# -- whoever changes the note --------------------------------------------------------------------------------------


def test_passages_follow_the_words_of_a_note(tmp_path: Path) -> None:
    """Reworded, its former passages find it no more; made short, it has none."""
    with Memory(tmp_path / "memory", embedder="hash") as memory:
        told = str(memory.remember(REPORT).id)
        memory.update(told, REPORT.replace(DETAIL, "Marta paints boats in the harbour on Sundays with her brother."))
        changed = memory.recall("Does Marta paint boats in the harbour?")[0]
        former = memory.recall(QUESTION)[0]
        assert "boats" in (changed.passage or "")
        assert former.reasons.get("semantic", 0.0) < 0.6
        assert _passages(tmp_path / "memory") == 1
        memory.update(told, "Marta paints.")
        assert memory.recall(QUESTION)[0].passage is None
        assert memory.check().ok
    assert _passages(tmp_path / "memory") == 0


def test_forgetting_takes_the_passages(tmp_path: Path) -> None:
    """From the store, from memory, and from the embedder's cache."""
    embedder = HashEmbedder()
    with Memory(tmp_path / "memory", embedder=embedder) as memory:
        told = str(memory.remember(REPORT).id)
        memory.remember("Marta likes flowers.")
        memory.recall(QUESTION)
        assert len(embedder._cache) > len(passages(REPORT))
        receipt = memory.forget(told)
        assert receipt.gone
        assert receipt.probes["vectors"] is True
        assert embedder.discard(passages(REPORT)) == 0
        assert REPORT not in memory.recall(QUESTION).context(2_000)
        held = memory._parts.core.exact._passages
        assert all(len(one) == 0 and not one._vectors.any() for one in held.values())
    assert _passages(tmp_path / "memory") == 0


def test_another_process_finds_a_long_note_by_its_passage_at_its_next_call(open_memory: Callable[..., Memory]) -> None:
    one, other = open_memory(), open_memory()
    other.remember("Nothing much.")
    other.recall(QUESTION)
    told = one.remember(REPORT).id
    hit = other.recall(QUESTION)[0]
    assert hit.note.id == told
    assert DETAIL in (hit.passage or "")


def test_a_store_without_passages_says_so_and_gets_them(open_memory: Callable[..., Memory]) -> None:
    """As written before there were any: recall goes on with whole vectors, rebuild('vectors') embeds what lacks."""
    memory = open_memory()
    memory.remember_many([REPORT, "Marta likes flowers."], progress=False)
    with memory._parts.core.store.write() as tx:
        tx.tables.delete(PASSAGE, {})
    memory.close()

    memory = open_memory()
    assert memory.recall(QUESTION)[0].passage is None
    assert any("passages" in problem for problem in memory.check().problems)
    memory.rebuild("vectors")
    assert memory.check().ok
    assert DETAIL in (memory.recall(QUESTION)[0].passage or "")


def test_another_embedder_embeds_the_passages_too(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory", embedder=HashEmbedder(64)) as memory:
        memory.remember(REPORT)
        memory.reembed(HashEmbedder(256))
        assert memory.check().ok
        assert DETAIL in (memory.recall(QUESTION)[0].passage or "")


@pytest.mark.parametrize("carried", [True, False])
def test_an_imported_long_note_has_its_passages(tmp_path: Path, carried: bool) -> None:
    with Memory(tmp_path / "one", embedder="hash") as memory:
        memory.remember(REPORT)
        memory.export(tmp_path / "memory.jsonl", vectors=carried)
    with Memory(tmp_path / "two", embedder="hash") as memory:
        memory.load_export(tmp_path / "memory.jsonl")
        assert memory.check().ok
        assert DETAIL in (memory.recall(QUESTION)[0].passage or "")
