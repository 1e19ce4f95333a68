"""Values under keys: put, read, searched, expired, deleted; and the notes that their texts are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import AsyncMemory, Fact, Memory, Record, Scope
from agentmem.embedding.embedders import HashEmbedder
from agentmem.errors import AgentMemError, InvalidArgument, InvalidNote, ScopeError, ScopeRequired, UnknownNote
from agentmem.notes.clock import ManualClock
from agentmem.notes.rows import EditRow

ANA = ("users", "ana")


def _keys(found: list[Record]) -> list[str]:
    return [record.key for record in found]


# -- put, get, delete ----------------------------------------------------------------------------------------------


def test_what_is_put_comes_back_as_it_went_in(memory: Memory, clock: ManualClock) -> None:
    value = {"name": "Ana", "n": 1, "x": 1.5, "deep": {"list": [1, None, True, {"a": "b"}]}, "": ""}

    put = memory.put(ANA, "profile", value)

    assert memory.get(ANA, "profile") == put
    assert (put.namespace, put.key, put.value, put.created_at, put.expires_at) == (
        ANA,
        "profile",
        value,
        clock.now(),
        None,
    )
    assert memory.get(ANA, "other") is None
    assert memory.get(("users",), "profile") is None
    assert memory.get(["users", "ana"], "profile") == put


def test_a_record_is_a_note_that_is_recalled_once(memory: Memory) -> None:
    put = memory.put(
        ANA, "boat", {"text": "The blue boat lies in Porto.", "n": 3}, tags=["water"], metadata={"a": 1}, importance=0.9
    )

    note = memory.get(put.id)
    hits = memory.recall("Where is the blue boat?")

    assert (note.kind, note.content, note.tags, note.metadata, note.importance) == (
        "record", "The blue boat lies in Porto.", ("water",), {"a": 1}, 0.9,
    )  # fmt: skip
    assert [hit.note.id for hit in hits] == [put.id]
    assert memory.check(deep=True).ok


def test_a_second_put_changes_in_place(memory: Memory, clock: ManualClock) -> None:
    """Id, history and links stay; the words are found, the former ones are not."""
    first = memory.put(ANA, "home", {"text": "The blue boat in Porto."}, tags=["a"], metadata={"x": 1})
    other = str(memory.remember("A letter about something else.").id)
    memory.link(first.id, other, reason="mine")
    clock.advance(days=1)

    second = memory.put(ANA, "home", {"text": "A red house in Graz."}, importance=0.8)

    note = memory.get(first.id)
    assert (second.id, second.created_at) == (first.id, first.created_at)
    assert second.updated_at == clock.now()
    assert (note.content, note.tags, note.metadata, note.importance) == ("A red house in Graz.", ("a",), {"x": 1}, 0.8)
    assert [version.content for version in memory.history(first.id)] == [
        "The blue boat in Porto.",
        "A red house in Graz.",
    ]
    assert memory.why_linked(first.id, other)
    assert len(memory.notes()) == 2
    assert memory.search((), "red house in Graz")[0].score == pytest.approx(
        float(HashEmbedder().embed(["A red house in Graz."])[0] @ HashEmbedder().embed(["red house in Graz"])[0]),
        abs=2e-3,
    )
    assert memory.check(deep=True).ok


def test_a_value_without_new_words_makes_no_new_version(memory: Memory) -> None:
    put = memory.put(ANA, "a", {"text": "The boat.", "n": 1})

    again = memory.put(ANA, "a", {"text": "The boat.", "n": 2})

    assert again.value == {"text": "The boat.", "n": 2}
    assert memory.get(put.id).version == 1
    assert memory.put(ANA, "a", {"text": "The boat.", "n": 2}, tags=["x"]).id == put.id
    assert memory.get(put.id).version == 2


def test_what_comes_from_the_web_is_trusted_less_in_place_too(memory: Memory) -> None:
    put = memory.put(ANA, "a", {"text": "The boat."})
    assert memory.get(put.id).trust == 1.0

    memory.put(ANA, "a", {"text": "The boat is sold."}, source="web")

    assert memory.get(put.id).trust == 0.2


def test_equal_words_under_two_keys_are_two_records(memory: Memory, clock: ManualClock) -> None:
    """And neither is a note that is said: deleting one takes nothing of the others."""
    said = memory.remember("Ana lives in Porto.")
    one = memory.put(ANA, "one", {"text": "Ana lives in Porto."})
    clock.advance(days=1)
    two = memory.put(ANA, "two", {"text": "Ana lives in Rome."})
    again = memory.remember("Ana lives in Porto.")
    three = memory.put(ANA, "three", {"text": "Ana lives in Porto."})

    assert len({str(said.id), one.id, two.id, three.id}) == 4
    assert again.id == said.id
    assert memory.get(one.id).valid_to is None
    assert memory.get(one.id).fact is None
    memory.delete(ANA, "one")
    assert memory.get(str(said.id)).content == "Ana lives in Porto."
    assert memory.get(ANA, "three") == three


def test_words_that_only_a_record_has_are_a_note_of_their_own_when_said(memory: Memory) -> None:
    put = memory.put(ANA, "one", {"text": "The blue bicycle stands in the cellar."})

    receipts = [memory.remember("The blue bicycle stands in the cellar.") for _ in range(2)]

    assert [receipt.status for receipt in receipts] == ["stored", "merged"]
    assert put.id not in {receipt.id for receipt in receipts}


def test_a_fact_is_read_if_asked_for(memory: Memory) -> None:
    put = memory.put(ANA, "home", {"text": "Ana lives in Porto."}, facts=True)

    assert memory.get(put.id).fact == Fact("Ana", "lives in", "Porto")


def test_delete_forgets(memory: Memory) -> None:
    put = memory.put(ANA, "home", {"text": "The blue boat in Porto."})

    receipt = memory.delete(ANA, "home")

    assert receipt.gone
    assert receipt.ids == (put.id,)
    assert memory.get(ANA, "home") is None
    assert not memory.recall("blue boat")
    with pytest.raises(UnknownNote):
        memory.get(put.id)
    assert memory.delete(ANA, "home").ids == ()
    assert memory.put(ANA, "home", {"text": "The blue boat in Porto."}).id != put.id


def test_forgetting_the_note_removes_the_record(memory: Memory) -> None:
    put = memory.put(ANA, "home", {"secret": "quincebread"})

    receipt = memory.forget(put.id)

    assert receipt.places["records"] == 1
    assert receipt.probes["records"]
    assert memory.get(ANA, "home") is None
    memory.put(ANA, "more", {"secret": 3})
    memory.forget({"kind": "record"})
    assert memory.search(()) == []


def test_no_byte_of_a_deleted_value_stays(open_memory: Callable[..., Memory]) -> None:
    memory = open_memory()
    memory.put(("quincenamespace",), "quincekey", {"a": "quincewords", "n": "x"}, index=["n"])
    memory.put(("quincenamespace",), "quincekey", {"a": "quinceother"}, index=False)

    memory.delete(("quincenamespace",), "quincekey")

    texts = ["quincenamespace", "quincekey", "quincewords", "quinceother"]
    assert not memory.verify_bytes(texts).found


def test_an_edit_that_says_the_former_words_leaves_the_weights(memory: Memory) -> None:
    put = memory.put(ANA, "home", {"text": "Ana lives in Porto."}, facts=True)
    with memory._parts.core.store.write() as tx:
        tx.ledger.put_edit(EditRow("e", put.id, 1, "grace", "active", 1, {"prompt": "?", "target": "Porto"}))

    memory.put(ANA, "home", {"text": "Ana lives in Rome."}, facts=True)

    assert memory.edits() == []


def test_the_words_of_a_record_are_not_updated_beside_its_value(memory: Memory) -> None:
    put = memory.put(ANA, "home", {"text": "The boat."})

    with pytest.raises(InvalidArgument, match="record"):
        memory.update(put.id, "The house.")
    assert memory.update(put.id, tags=["x"]).status == "stored"
    assert memory.get(ANA, "home") == put


def test_a_faded_record_is_read_by_its_key_and_comes_back_when_put(memory: Memory, clock: ManualClock) -> None:
    put = memory.put(ANA, "a", {"text": "The boat."}, importance=0.0)
    clock.advance(days=9000)
    assert memory.fade().ids == (put.id,)
    assert memory.get(ANA, "a") == put
    assert not memory.recall("boat")

    memory.put(ANA, "a", {"text": "The boat."})

    assert memory.recall("boat")


def test_many_are_put_together_or_not_at_all(memory: Memory) -> None:
    items = [{"namespace": ANA, "key": str(n % 3), "value": {"text": f"Boat {n}."}} for n in range(5)]

    records = memory.put_many(items)

    assert [record.value["text"] for record in records] == ["Boat 3.", "Boat 4.", "Boat 2.", "Boat 3.", "Boat 4."]
    assert len(memory.search(())) == 3
    with pytest.raises(InvalidArgument, match="Item 1"):
        memory.put_many([{"namespace": ANA, "key": "x", "value": {}}, {"namespace": ANA, "key": "", "value": {}}])
    assert memory.get(ANA, "x") is None
    assert memory.put_many([]) == []


# -- without a text ------------------------------------------------------------------------------------------------


def test_what_is_not_indexed_is_found_by_key_and_filter_alone(memory: Memory) -> None:
    hidden = memory.put(ANA, "hidden", {"text": "The blue boat lies in Porto."}, index=False)
    number = memory.put(ANA, "number", {"n": 3})
    shown = memory.put(ANA, "shown", {"text": "A letter.", "n": 4})
    memory.link(shown.id, hidden.id)

    assert memory.get(ANA, "hidden") == hidden
    assert _keys(memory.search((), filter={"n": {"$gte": 3}})) == ["shown", "number"]
    assert _keys(memory.search((), "blue boat")) == ["shown"]
    assert _keys(memory.search((), "blue boat", unscored=True)) == ["shown", "number", "hidden"]
    assert {hit.note.id for hit in memory.recall("blue boat in Porto", k=50)} == {shown.id}
    assert {hit.note.id for hit in memory.recall("blue boat in Porto", k=50, score="cosine")} == {shown.id}
    assert "no words" in memory.why_not("boat", number.id).reason


def test_a_bound_memory_misses_no_vector_of_what_has_no_words(tmp_path: Path) -> None:
    with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="ana")) as memory:
        memory.put(ANA, "a", {"text": "The boat."})
        memory.put(ANA, "b", {"n": 1})

        assert memory.check().ok, str(memory.check())
        assert memory.rebuild("vectors") == 1


def test_a_text_comes_and_goes_and_every_projection_follows(memory: Memory) -> None:
    others = [memory.put(ANA, str(n), {"text": "The blue boat lies in Porto."}).id for n in range(3)]
    put = memory.put(ANA, "x", {"text": "The blue boat lies in Porto."})
    for index, found in [(False, False), (None, True), (["nothing"], False), (["text"], True)]:
        memory.put(ANA, "x", {"text": "The blue boat lies in Porto."}, index=index)

        assert (put.id in [hit.note.id for hit in memory.recall("blue boat")]) is found
        assert memory.check(deep=True).ok, str(memory.check(deep=True))
    assert len(others) == 3


@pytest.mark.parametrize("projection", ["vectors", "text", "graph"])
def test_rebuilding_leaves_records_as_they_are(memory: Memory, projection: str) -> None:
    memory.put(ANA, "a", {"text": "The blue boat."})
    memory.put(ANA, "b", {"n": 1})
    before = memory.search((), "boat", unscored=True)

    memory.rebuild(projection)

    assert memory.search((), "boat", unscored=True) == before
    assert memory.check(deep=True).ok


def test_another_embedder_reads_what_has_words(memory: Memory) -> None:
    for n in range(80):
        memory.put(ANA, str(n), {"n": n})
    memory.put(ANA, "a", {"text": "The blue boat."})
    memory.remember("The letter.")

    memory.reembed(HashEmbedder(dimension=64))

    assert memory.check(deep=True).ok
    assert _keys(memory.search((), "boat")) == ["a"]


# -- search and namespaces -----------------------------------------------------------------------------------------


def _filled(memory: Memory, clock: ManualClock) -> None:
    for n in range(30):
        memory.put(
            ("docs", f"d{n % 3}", "x"), f"k{n}", {"n": n, "text": f"Boat number {n} is {'red' if n % 2 else 'blue'}."}
        )
        clock.advance(minutes=1)
    memory.put(("docsx",), "other", {"n": 99})


def test_pages_of_a_search_hold_every_record_once(memory: Memory, clock: ManualClock) -> None:
    _filled(memory, clock)
    for query in (None, "a red boat"):
        pages = [
            memory.search(("docs",), query, {"n": {"$lt": 25}}, limit=4, offset=start) for start in range(0, 28, 4)
        ]

        keys = [record.key for page in pages for record in page]
        assert sorted(keys) == sorted(f"k{n}" for n in range(25))
    assert _keys(memory.search(("docs",), limit=3)) == ["k29", "k28", "k27"]
    assert _keys(memory.search(("docs", "d1"), limit=100)) == [f"k{n}" for n in range(28, 0, -3)]
    assert memory.search(("doc",)) == []
    assert memory.search((), limit=0) == []
    assert len(memory.search((), limit=100)) == 31


def test_a_search_in_words_is_ordered_by_cosine(memory: Memory, clock: ManualClock) -> None:
    _filled(memory, clock)
    embedder = HashEmbedder()
    query = embedder.embed(["a red boat"])[0]

    found = memory.search(("docs",), "a red boat", limit=50)

    scores = [record.score for record in found]
    assert len(found) == 30
    assert scores == pytest.approx(sorted(scores, reverse=True), abs=1e-6)
    expected = [float(embedder.embed([record.value["text"]])[0] @ query) for record in found]
    assert scores == pytest.approx(expected, abs=2e-3)
    least = scores[9]
    assert all(record.score >= least for record in memory.search(("docs",), "a red boat", limit=50, min_score=least))


def test_a_record_whose_fields_are_named_is_as_near_as_the_nearest_of_them(memory: Memory) -> None:
    """Each part has a vector, through another embedder, a rebuild and an update, and goes with the record."""
    value = {"title": "blue boat", "tags": ["oak mast", "red sail"], "x": "green tea"}
    memory.put(ANA, "boat", value, index=["title", "tags[*]"])
    memory.put(ANA, "whole", value)

    def score(words: str, key: str = "boat") -> float:
        return next(record.score for record in memory.search(ANA, words) if record.key == key)

    def near() -> bool:
        return all(score(words) == pytest.approx(1.0, abs=1e-3) for words in ("blue boat", "oak mast", "red sail"))

    assert near()
    assert score("green tea") < 0.5
    assert score("blue boat", "whole") < 0.9
    assert memory.check(deep=True).ok
    memory.reembed(HashEmbedder(dimension=64))
    assert near()
    memory.rebuild("vectors")
    assert near()
    assert memory.check(deep=True).ok
    memory.put(ANA, "boat", {"title": "green tea"}, index=["title", "tags[*]"])
    assert score("green tea") == pytest.approx(1.0, abs=1e-3)
    assert score("red sail") < 0.5
    assert memory.delete(ANA, "boat").gone
    assert memory.check(deep=True).ok


def test_parts_come_along_with_an_export(memory: Memory, tmp_path: Path) -> None:
    memory.put(ANA, "boat", {"title": "blue boat", "sail": "red sail"}, index=["title", "sail"])
    memory.export(tmp_path / "out.jsonl", everything=True)

    with Memory(None, embedder="hash") as other:
        other.load_export(tmp_path / "out.jsonl")

        assert other.search(ANA, "red sail")[0].score == pytest.approx(1.0, abs=1e-3)
        assert other.check(deep=True).ok


def test_namespaces_are_listed(memory: Memory, clock: ManualClock) -> None:
    _filled(memory, clock)
    memory.put(("a", "b", "c", "d"), "k", {"n": 1})

    listed = [("a", "b", "c", "d"), ("docs", "d0", "x"), ("docs", "d1", "x"), ("docs", "d2", "x"), ("docsx",)]
    assert memory.list_namespaces() == listed
    assert memory.list_namespaces(prefix=("docs",)) == listed[1:4]
    assert memory.list_namespaces(prefix=("docs", "*", "x")) == listed[1:4]
    assert memory.list_namespaces(prefix=("*", "b")) == listed[:1]
    assert memory.list_namespaces(suffix=("x",)) == listed[1:4]
    assert memory.list_namespaces(suffix=("d1", "*")) == listed[2:3]
    assert memory.list_namespaces(max_depth=1) == [("a",), ("docs",), ("docsx",)]
    assert memory.list_namespaces(max_depth=2, limit=2, offset=1) == [("docs", "d0"), ("docs", "d1")]


# -- lifetimes -----------------------------------------------------------------------------------------------------


def test_what_has_expired_is_seen_by_nobody_at_once(memory: Memory, clock: ManualClock) -> None:
    put = memory.put(ANA, "code", {"text": "The blue boat lies in Porto."}, ttl=10)
    stays = memory.put(ANA, "stays", {"text": "The blue boat lies in Graz."}, ttl=timedelta(days=7))
    assert put.expires_at == clock.now() + timedelta(minutes=10)
    clock.advance(minutes=10)

    assert memory.get(ANA, "code") is None
    assert _keys(memory.search(())) == _keys(memory.search((), "blue boat")) == ["stays"]
    assert [hit.note.id for hit in memory.recall("blue boat")] == [stays.id]
    assert [hit.note.id for hit in memory.recall("blue boat", as_of=clock.now() - timedelta(minutes=5))] == [stays.id]
    assert [note.id for note in memory.notes()] == [stays.id]
    assert list(memory.graph()) == [stays.id]
    with pytest.raises(UnknownNote):
        memory.get(put.id)


def test_a_sweep_forgets_it_for_good(memory: Memory, clock: ManualClock) -> None:
    for n in range(5):
        memory.put(ANA, str(n), {"text": f"Boat {n}."}, ttl=n + 1)
    clock.advance(minutes=3)

    assert memory.sweep() == 3
    assert memory.sweep() == 0
    assert memory.stats()["records"] == memory.stats()["notes"] == 2
    assert memory.check(deep=True).ok


def test_opening_a_memory_sweeps(open_memory: Callable[..., Memory], clock: ManualClock) -> None:
    first = open_memory()
    first.put(ANA, "mine", {"text": "Boat."}, ttl=1, user="ana")
    first.put(ANA, "all", {"text": "Boat."}, ttl=1)
    first.close()
    clock.advance(minutes=2)

    assert open_memory().stats()["records"] == 0


def test_a_key_that_has_expired_is_free(memory: Memory, clock: ManualClock) -> None:
    """What stood there is forgotten, its history too."""
    first = memory.put(ANA, "code", {"text": "The blue boat."}, ttl=1, user="ana")
    clock.advance(minutes=1)

    second = memory.put(ANA, "code", {"text": "The red boat."}, user="ana")

    assert second.id != first.id
    assert second.created_at == clock.now()
    assert len(memory.history(second.id, user="ana")) == 1


def test_reading_refreshes_if_asked_to(memory: Memory, clock: ManualClock) -> None:
    for key in ("got", "found", "left"):
        memory.put(ANA, key, {"key": key}, ttl=10)
    memory.put(ANA, "ever", {"a": 1})
    clock.advance(minutes=6)

    assert memory.get(ANA, "got", refresh=True).expires_at == clock.now() + timedelta(minutes=10)
    assert memory.search((), filter={"key": "found"}, refresh=True)[0].expires_at == clock.now() + timedelta(minutes=10)
    assert memory.get(ANA, "ever", refresh=True).expires_at is None
    memory.get(ANA, "left")
    clock.advance(minutes=6)

    assert sorted(_keys(memory.search(()))) == ["ever", "found", "got"]
    assert memory.check().ok


def test_a_put_sets_the_lifetime_anew(memory: Memory, clock: ManualClock) -> None:
    memory.put(ANA, "a", {"n": 1}, ttl=1)
    memory.put(ANA, "a", {"n": 1})
    clock.advance(days=1)

    assert memory.get(ANA, "a") is not None


def test_one_that_was_refreshed_meanwhile_is_not_swept(memory: Memory, clock: ManualClock) -> None:
    """The sweep looks again in the transaction in which it forgets."""
    memory.put(ANA, "a", {"n": 1}, ttl=1)
    clock.advance(minutes=2)
    eraser, forget = memory._parts.eraser, memory._parts.eraser.forget_chosen

    def late(choose: Any, *rest: Any, **more: Any) -> Any:
        with memory._parts.core.store.write() as tx:
            row = tx.keyed.due(10**18) and tx.keyed.expired((1,), 10**18)[0]
            tx.keyed.change(row, expires_at=10**17)
        return forget(choose, *rest, **more)

    eraser.forget_chosen = late  # type: ignore[method-assign]
    assert memory.sweep() == 0
    assert memory.get(ANA, "a") is not None


# -- whose they are ------------------------------------------------------------------------------------------------


def test_every_scope_has_keys_of_its_own(memory: Memory) -> None:
    scopes: list[dict[str, str]] = [
        {}, {"user": "ana"}, {"user": "ben"}, {"agent": "cook"}, {"user": "ana", "agent": "cook"}, {"user": "ana", "session": "monday"},
        {"agent": "cook", "session": "monday"}, {"user": "ana", "agent": "cook", "session": "monday"},
    ]  # fmt: skip
    for scope in scopes[1:]:
        memory.put(ANA, "k", {"whose": str(scope), "text": "The same words."}, **scope)

    for scope in scopes[1:]:
        assert memory.get(ANA, "k", **scope).value["whose"] == str(scope)
        assert [record.value["whose"] for record in memory.search((), **scope)] == [str(scope)]
        assert [record.value["whose"] for record in memory.search((), "words", **scope)] == [str(scope)]
        assert memory.list_namespaces(**scope) == [ANA]
    memory.delete(ANA, "k", user="ana")
    assert memory.get(ANA, "k", user="ana") is None
    assert memory.get(ANA, "k", user="ben") is not None
    assert memory.get(ANA, "k", user="ana", agent="cook") is not None


def test_who_is_not_named_is_asked_for(memory: Memory) -> None:
    memory.put(ANA, "k", {"n": 1}, user="ana")

    for call in (
        lambda: memory.get(ANA, "k"),
        lambda: memory.search(()),
        memory.list_namespaces,
        lambda: memory.delete(ANA, "k"),
    ):
        with pytest.raises(ScopeRequired):
            call()
    assert memory.put(ANA, "k", {"n": 2}).value == {"n": 2}
    assert memory.put(ANA, "k", {"n": 3}).value == {"n": 3}
    assert memory.get(ANA, "k", user="ana").value == {"n": 1}


def test_a_bound_memory_stays_within(tmp_path: Path) -> None:
    with Memory(tmp_path / "m", embedder="hash") as everybody:
        everybody.put(ANA, "k", {"n": 1}, user="ben", ttl=0.001)
        with Memory(tmp_path / "m", embedder="hash", scope=Scope(user="ana")) as memory:
            memory.put(ANA, "k", {"n": 2})
            assert _keys(memory.search(())) == ["k"]
            assert memory.sweep() == 0
            with pytest.raises(ScopeError):
                memory.get(ANA, "k", user="ben")


# -- wrong input ---------------------------------------------------------------------------------------------------

LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "wrong",
    [
        {"namespace": ()}, {"namespace": "users"}, {"namespace": ("a.b",)}, {"namespace": ("",)}, {"namespace": ("a", 3)}, {"namespace": None},
        {"namespace": ("a\0",)}, {"namespace": ("\ud800",)}, {"namespace": ("a",) * 99}, {"namespace": ("x" * 9999,)}, {"key": ""}, {"key": 3},
        {"key": None}, {"key": "a\0"}, {"key": "\udfff"}, {"key": "x" * 9999}, {"value": None}, {"value": [1]}, {"value": "text"},
        {"value": {"a": float("nan")}}, {"value": {"a": float("inf")}}, {"value": {"a": {1}}}, {"value": {1: "a"}}, {"value": {0: "a"}},
        {"value": {"a": (1, 2)}}, {"value": {"a": b"x"}}, {"value": {"a": "\ud800"}}, {"value": {"a": LOOP}}, {"value": {"a": "x" * 2_000_000}},
        {"value": {"a": "x" * 70_000}}, {"ttl": 0}, {"ttl": -1}, {"ttl": True}, {"ttl": "10"}, {"ttl": float("nan")}, {"ttl": float("inf")},
        {"ttl": timedelta(0)}, {"ttl": 1e300}, {"index": True}, {"index": "title"}, {"index": []}, {"index": ["a..b"]}, {"facts": 1},
        {"importance": 2}, {"tags": 3}, {"metadata": {"a": {1}}}, {"trust": "much"}, {"user": ""},
    ],
)  # fmt: skip
def test_wrong_input_is_told_and_changes_nothing(memory: Memory, wrong: dict[str, Any]) -> None:
    memory.put(ANA, "k", {"n": 1})
    before = memory.search(()), memory.notes()

    with pytest.raises((InvalidArgument, InvalidNote)) as error:
        memory.put(**({"namespace": ANA, "key": "k", "value": {"text": "new"}} | wrong))

    assert error.value.hint
    assert (memory.search(()), memory.notes()) == before


@pytest.mark.parametrize(
    "call",
    [
        lambda m: m.get("users", "k"), lambda m: m.get(ANA), lambda m: m.get(ANA, 3), lambda m: m.get(ANA, "k", refresh=1),
        lambda m: m.delete((), "k"), lambda m: m.delete(ANA, ""), lambda m: m.search("a"), lambda m: m.search((), ""),
        lambda m: m.search((), 3), lambda m: m.search((), limit=-1), lambda m: m.search((), offset=True), lambda m: m.search((), filter=[]),
        lambda m: m.search((), filter={"a": {"$bad": 1}}), lambda m: m.search((), "x", min_score="a"), lambda m: m.search((), unscored=1),
        lambda m: m.list_namespaces(prefix=("a.b",)), lambda m: m.list_namespaces(max_depth=0), lambda m: m.list_namespaces(limit=1.5),
        lambda m: m.put_many("x"), lambda m: m.put_many([3]), lambda m: m.put_many([{"namespace": ANA, "key": "k"}]),
        lambda m: m.put_many([{"namespace": ANA, "key": "k", "value": {}, "user": "ana"}]), lambda m: m.put_many({"namespace": ANA}),
    ],
)  # fmt: skip
def test_wrong_questions_are_told(memory: Memory, call: Callable[[Memory], Any]) -> None:
    with pytest.raises(InvalidArgument) as error:
        call(memory)

    assert error.value.hint


def test_a_put_that_fails_leaves_nothing(memory: Memory) -> None:
    """One transaction: neither a note without its value nor a value of which one key is missing."""
    memory.put(ANA, "a", {"text": "The old boat."})
    before = memory.search(()), memory.notes()

    def fail(step: str) -> None:
        if step == "put:before-commit":
            raise AgentMemError("stopped", hint="here")

    memory._parts.keyed._fail = fail
    with pytest.raises(AgentMemError, match="stopped"):
        memory.put_many([{"namespace": ANA, "key": key, "value": {"text": "The new boat."}} for key in "abc"])

    assert (memory.search(()), memory.notes()) == before
    assert memory.check(deep=True).ok


# -- the awaited twin ----------------------------------------------------------------------------------------------


def test_the_verbs_are_awaited() -> None:
    async def run() -> None:
        async with AsyncMemory(embedder="hash") as memory:
            put = await memory.put(ANA, "k", {"text": "The boat."}, ttl=5)
            assert await memory.get(ANA, "k") == put
            assert (await memory.get(put.id)).content == "The boat."
            assert _keys(await memory.search((), "boat")) == ["k"]
            assert await memory.list_namespaces() == [ANA]
            assert len(await memory.put_many([{"namespace": ANA, "key": "b", "value": {}}])) == 1
            assert (await memory.delete(ANA, "k")).gone
            assert await memory.sweep() == 0

    asyncio.run(run())


def test_what_somebody_said_is_a_turn_of_its_session(memory: Memory) -> None:
    """Told as that one's words, linked to the turn before it; a plain value is nobody's turn."""
    first = memory.put(("talk",), "1", {"text": "Which boat do we take?"}, actor="user", user="ana", session="monday")
    plain = memory.put(("talk",), "2", {"text": "a sail, red"}, user="ana", session="monday")
    [second] = memory.put_many(
        [{"namespace": ("talk",), "key": "3", "value": {"text": "The blue one."}, "actor": "skipper"}],
        user="ana",
        session="monday",
    )

    notes = {note.id: note for note in memory.notes(user="ana")}
    assert [(notes[r.id].actor, notes[r.id].thread) for r in (first, plain, second)] == [
        ("user", "monday"), (None, None), ("skipper", "monday"),
    ]  # fmt: skip
    assert "next" in {link.kind for step in memory.why_linked(first.id, second.id, user="ana").steps for link in step}
    assert " skipper] The blue one." in memory.recall("the blue one", user="ana").context()
    memory.put(("talk",), "3", {"text": "The green one."}, actor="cook", user="ana", session="monday")
    assert memory.get(second.id, user="ana").actor == "skipper"
    assert memory.check(deep=True).ok
    with pytest.raises(InvalidArgument):
        memory.put(("talk",), "4", {"text": "x"}, actor=" ")


def test_nothing_is_derived_from_a_record_whose_time_is_over(memory: Memory, clock: ManualClock) -> None:
    """Nobody sees it any more; what was made of it would go with it at the next sweep."""
    put = memory.put(ANA, "mail", {"text": "Your table is booked for Friday."}, ttl=60)
    clock.advance(days=1)

    with pytest.raises(UnknownNote):
        memory.remember("Dinner with Ben on Friday.", derived_from=[put.id])
    assert memory.notes() == []
