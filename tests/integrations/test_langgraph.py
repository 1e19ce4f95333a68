"""A memory as the store of real graphs of LangGraph, awaited and not."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict

import pytest

if not os.environ.get("AGENTMEM_FRAMEWORKS"):
    pytest.importorskip("langgraph")

from langgraph.graph import START, StateGraph
from langgraph.store.base import (
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)

from agentmem import AsyncMemory, Memory, Scope
from agentmem.errors import AgentMemError, InvalidArgument, ScopeError
from agentmem.integrations.langgraph import AgentMemStore, AsyncAgentMemStore
from agentmem.integrations.langgraph.filters import record_filter
from agentmem.notes.clock import ManualClock

ROOT = Path(__file__).parents[2]
NS = ("users", "facts")


class State(TypedDict, total=False):
    told: str
    found: list[str]


@pytest.fixture
def store(memory: Memory) -> AgentMemStore:
    return AgentMemStore(memory, user="ana")


# -- in a graph --------------------------------------------------------------------------------------------------


def test_what_a_graph_puts_is_recalled_and_gone_everywhere_after_delete(open_memory: Callable[..., Memory]) -> None:
    def keep(state: State, *, store: BaseStore) -> State:
        store.put(NS, "pet", {"text": state["told"]})
        return {"found": [item.value["text"] for item in store.search(("users",), query="animal")]}

    memory = open_memory()
    store = AgentMemStore(memory, user="ana")
    graph = StateGraph(State).add_node(keep).add_edge(START, "keep").compile(store=store)

    assert graph.invoke({"told": "Ana keeps a zebrafish."})["found"] == ["Ana keeps a zebrafish."]
    assert memory.recall("zebrafish", user="ana")[0].note.content == "Ana keeps a zebrafish."
    assert not memory.recall("zebrafish", user="ben")

    store.delete(NS, "pet")

    assert not memory.recall("zebrafish", user="ana")
    assert not memory.notes(user="ana")
    assert memory.verify_bytes(["zebrafish"]).ok


async def test_an_awaited_graph_has_an_awaited_store() -> None:
    async def keep(state: State, *, store: BaseStore) -> State:
        await store.aput(NS, "pet", {"text": state["told"]})
        return {"found": [item.key for item in await store.asearch(("users",), query="zebrafish")]}

    async with AsyncMemory(None, embedder="hash") as memory:
        store = AsyncAgentMemStore(memory, user="ana")
        graph = StateGraph(State).add_node(keep).add_edge(START, "keep").compile(store=store)

        assert (await graph.ainvoke({"told": "Ana keeps a zebrafish."}))["found"] == ["pet"]
        assert (await memory.recall("zebrafish", user="ana"))[0].note.content == "Ana keeps a zebrafish."


def test_items_are_there_after_a_restart_with_the_time_they_were_made(tmp_path: Path) -> None:
    with AgentMemStore(Memory(tmp_path, embedder="hash"), user="ana") as store:
        store.put(NS, "k", {"n": 1})
        made = store.get(NS, "k").created_at
        store.put(NS, "k", {"n": 2})
        store.memory.close()

    with Memory(tmp_path, embedder="hash") as memory:
        item = AgentMemStore(memory, user="ana").get(NS, "k")

        assert (item.value, item.created_at) == ({"n": 2}, made)
        assert item.updated_at > made


def test_a_store_opens_and_closes_a_directory_by_itself(tmp_path: Path) -> None:
    index = {"embed": lambda texts: [[1.0, float(len(text))] for text in texts], "dims": 2}
    with AgentMemStore(tmp_path / "m", index=index) as store:
        store.put(NS, "k", {"text": "one"})

        assert store.search(NS, query="one")[0].score == pytest.approx(1.0, abs=1e-3)
    with pytest.raises(AgentMemError):
        store.get(NS, "k")
    with AgentMemStore(tmp_path / "m", index=index) as again:
        assert again.get(NS, "k").value == {"text": "one"}


# -- whose it is -------------------------------------------------------------------------------------------------


def test_no_namespace_and_no_filter_reaches_another_user(memory: Memory) -> None:
    ana, ben = AgentMemStore(memory, user="ana"), AgentMemStore(memory, user="ben")
    ana.put(("users", "ben"), "k", {"secret": "the blue boat", "user": "ben"})
    ben.put(("users", "ben"), "other", {"text": "mine"})

    assert ben.get(("users", "ben"), "k") is None
    assert [item.key for item in ben.search((), query="blue boat")] == ["other"]
    assert ben.search((), filter={"user": "ben"}) == []
    ben.delete(("users", "ben"), "k")
    assert ana.get(("users", "ben"), "k") is not None
    assert ben.list_namespaces() == [("users", "ben")]


def test_a_bound_memory_refuses_a_store_for_somebody_else() -> None:
    with Memory(None, embedder="hash", scope=Scope(user="ana")) as memory, pytest.raises(ScopeError):
        AgentMemStore(memory, user="ben")


def test_a_store_sweeps_what_is_its_own(memory: Memory, clock: ManualClock) -> None:
    for user in ("ana", "ben"):
        AgentMemStore(memory, user=user).put(NS, "k", {"n": 1}, ttl=1)
    clock.advance(minutes=2)

    assert AgentMemStore(memory, user="ana").sweep_ttl() == 1
    assert AgentMemStore(memory, user="ana").sweep_ttl() == 0
    assert memory.sweep() == 1


# -- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [
        PutOp(("a",), "k", {"x": {1, 2}}), PutOp(("a",), "k", {"x": float("nan")}), PutOp(("a",), "", {"x": 1}), PutOp((), "k", {"x": 1}),
        PutOp(("a.b",), "k", {"x": 1}), PutOp(("a",), "k", {"x": 1}, ttl=0), PutOp(("a",), "k", {"x": 1}, index="x"),
        PutOp((), "k", None), GetOp((), "k"), GetOp(("a",), 7), SearchOp(("a", "")), SearchOp((), filter={"a b": 1}), SearchOp((), limit=-1),
        SearchOp((), filter={"a": {"$regex": "x"}}), ListNamespacesOp((MatchCondition("infix", ("a",)),)), ListNamespacesOp(max_depth=0), "get",
    ],
    ids=str,
)  # fmt: skip
def test_nothing_of_a_batch_is_done_when_one_of_its_operations_is_wrong(
    memory: Memory, clock: ManualClock, bad: Any
) -> None:
    store = AgentMemStore(memory, user="ana", ttl={"refresh_on_read": True})
    store.put(NS, "kept", {"n": 1}, ttl=10)
    clock.advance(minutes=6)

    with pytest.raises(ValueError) as error:  # noqa: PT011 - what all of them are
        store.batch([GetOp(NS, "kept"), SearchOp(NS), PutOp(("new",), "k", {"n": 1}), PutOp(NS, "kept", None), bad])

    assert isinstance(error.value, AgentMemError | InvalidNamespaceError)
    assert store.get(NS, "kept", refresh_ttl=False) is not None
    assert store.list_namespaces() == [NS]
    clock.advance(minutes=6)
    assert store.get(NS, "kept") is None  # no read of the batch has given it a lifetime anew


def test_reads_see_what_was_there_before_and_the_last_word_on_a_key_counts(store: AgentMemStore) -> None:
    store.put(NS, "a", {"n": 1})

    results = store.batch(
        [PutOp(NS, "a", {"n": 2}), GetOp(NS, "a"), PutOp(NS, "a", None), PutOp(NS, "b", None), PutOp(NS, "b", {"n": 3}),
         SearchOp(NS), PutOp(NS, "c", {"n": 4}), PutOp(NS, "c", {"n": 5})]
    )  # fmt: skip

    assert results[1].value == {"n": 1}
    assert [item.key for item in results[5]] == ["a"]
    assert [results[n] for n in (0, 2, 3, 4, 6, 7)] == [None] * 6
    assert {item.key: item.value["n"] for item in store.search(NS)} == {"b": 3, "c": 5}


def test_values_come_back_as_they_went_in(store: AgentMemStore) -> None:
    value = {"text": "é\n\u2029 x", "deep": {"list": [1, 2.5, None, True, {"x": []}]}, "1": "", "a.b": -1}
    store.put(NS, "k", value)

    assert store.get(NS, "k").value == value


# -- filters -----------------------------------------------------------------------------------------------------

VALUES = {
    "a": {
        "n": 1,
        "tag": "x",
        "home": {"city": "Porto", "since": 2019},
        "tags": ["p", "q"],
        "ok": True,
        "date": "2026-01-02",
    },
    "b": {
        "n": 2.5,
        "tag": "y",
        "home": {"city": "Graz"},
        "tags": ["p"],
        "ok": False,
        "none": None,
        "date": "2026-03-04",
    },
    "c": {"n": -3, "access-level": "top", "1st": {"x-y": 1}, "home": {}},
}


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ({}, "abc"), ({"n": 1}, "a"), ({"n": 1.0}, "a"), ({"n": {"$gt": 1, "$lt": 3}}, "b"), ({"n": {"$gte": 1}, "tag": "x"}, "a"),
        ({"n": {"$lte": -3}}, "c"), ({"tag": {"$ne": "x"}}, "bc"), ({"tag": None}, "c"), ({"tag": {"$ne": None}}, "ab"),
        ({"none": None}, "abc"), ({"home": {"city": "Porto"}}, "a"), ({"home": {"since": {"$gt": 2000}, "city": "Porto"}}, "a"),
        ({"home.city": "Graz"}, "b"), ({"home": {"$eq": {"city": "Graz"}}}, "b"), ({"home": {"$ne": {"city": "Graz"}}}, "ac"),
        ({"home": {}}, "abc"), ({"tags": ["p"]}, "b"), ({"tags": {"$eq": ["p", "q"]}}, "a"), ({"tags": "p"}, ""), ({"ok": True}, "a"),
        ({"ok": {"$eq": False}}, "b"), ({"access-level": "top"}, "c"), ({"1st.x-y": 1}, "c"), ({"date": {"$gt": "2026-02-01"}}, "b"),
        ({"n": {"$lt": float("inf")}}, "abc"), ({"n": {"$gt": float("inf")}}, ""), ({"n": {"$gte": float("-inf")}}, "abc"),
        ({"n": {"$eq": float("nan")}}, ""), ({"n": {"$ne": float("nan")}}, "abc"), ({"n": {"$lt": 10**100}}, "abc"), ({"n": {"$gt": None}}, ""),
        ({"n": "1"}, ""), ({"missing": {"$lt": 5}}, ""),
    ],
    ids=str,
)  # fmt: skip
def test_filters_mean_what_langgraph_s_do(store: AgentMemStore, where: Any, keys: str) -> None:
    for key, value in VALUES.items():
        store.put(NS, key, value)

    assert "".join(sorted(item.key for item in store.search(NS, filter=where))) == keys


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ({"a' OR 1=1": 1}, "Invalid filter key"), ({"a": {"b c": 1}}, "Invalid filter key"), ({"$or": [{"a": 1}]}, "Invalid filter key"),
        ({7: 1}, "Invalid filter key"), ({"a": {"$in": [1]}}, "Unsupported operator"), ({"a": {"$gt": 1, "b": 2}}, "Unsupported operator"),
        ("a", "mapping"),
    ],
)  # fmt: skip
def test_a_filter_that_cannot_be_meant_is_a_value_error(where: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        record_filter(where)


# -- search ------------------------------------------------------------------------------------------------------


def test_items_that_are_not_indexed_come_last_and_fill_up_the_page(store: AgentMemStore) -> None:
    store.put(NS, "near", {"text": "a blue boat"})
    store.put(NS, "far", {"text": "the tax office"})
    store.put(NS, "silent", {"text": "a blue boat"}, index=False)

    found = store.search(NS, query="blue boat", limit=3)

    assert [item.key for item in found] == ["near", "far", "silent"]
    assert found[0].score > found[1].score
    assert found[2].score is None
    assert [item.key for item in store.search(NS, query="blue boat", limit=1, offset=1)] == ["far"]
    assert not [hit for hit in store.memory.recall("blue boat", user="ana") if hit.note.content == ""]


def test_an_item_is_as_near_as_the_nearest_of_its_fields(memory: Memory) -> None:
    store = AgentMemStore(memory, user="ana", index={"fields": ["title", "{who,where}.name", "parts[*].text"]})
    store.put(
        NS, "k", {"title": "blue boat", "who": {"name": "Ana Prado"}, "where": {"name": "harbour"}, "parts": [{"text": "red sail"}, {"text": "oak mast"}], "x": "green tea"}
    )  # fmt: skip

    for words in ("blue boat", "Ana Prado", "harbour", "red sail", "oak mast"):
        assert store.search(NS, query=words)[0].score == pytest.approx(1.0, abs=1e-3)
    assert store.search(NS, query="green tea")[0].score < 0.9
    store.put(NS, "k", {"title": "blue boat", "x": "green tea"}, index=["x"])
    assert store.search(NS, query="green tea")[0].score == pytest.approx(1.0, abs=1e-3)


def test_without_an_index_a_query_is_ignored_and_items_are_recalled_all_the_same(memory: Memory) -> None:
    store = AgentMemStore(memory, user="ana", index=False)
    store.put(NS, "boat", {"text": "a blue boat"}, index=["nothing"])
    store.put(NS, "tax", {"text": "the tax office"})

    assert [(item.key, item.score) for item in store.search(NS, query="boat")] == [("tax", None), ("boat", None)]
    assert memory.recall("boat", user="ana")[0].note.content == "a blue boat"


def test_every_condition_on_namespaces_has_to_hold(store: AgentMemStore) -> None:
    for namespace in (("a", "b", "c"), ("a", "x", "c"), ("a", "b", "d")):
        store.put(namespace, "k", {"n": 1})

    def listed(*conditions: tuple[str, tuple[str, ...]]) -> Any:
        return store.batch([ListNamespacesOp(tuple(MatchCondition(kind, path) for kind, path in conditions))])[0]

    assert listed(("prefix", ("a", "*")), ("prefix", ("*", "b"))) == [("a", "b", "c"), ("a", "b", "d")]
    assert listed(("suffix", ("c",)), ("suffix", ("b", "*"))) == [("a", "b", "c")]
    assert listed(("prefix", ("a",)), ("prefix", ("z",))) == []
    assert listed() == [("a", "b", "c"), ("a", "b", "d"), ("a", "x", "c")]


# -- lifetimes ---------------------------------------------------------------------------------------------------


def test_what_has_expired_is_seen_by_nobody_and_then_swept(memory: Memory, clock: ManualClock) -> None:
    store = AgentMemStore(memory, user="ana", ttl={"default_ttl": 10})
    store.put(NS, "short", {"text": "blue boat"})
    store.put(NS, "long", {"text": "blue boat"}, ttl=100)
    store.put(NS, "ever", {"text": "blue boat"}, ttl=None)
    clock.advance(minutes=11)

    assert store.get(NS, "short") is None
    assert {item.key for item in store.search(NS, query="boat")} == {"long", "ever"}
    assert len(memory.recall("boat", user="ana")) == 2
    assert store.sweep_ttl() == 1


@pytest.mark.parametrize(
    ("ttl", "asked", "there"),
    [(None, None, False), ({"default_ttl": 1}, None, False), ({"refresh_on_read": True}, None, True), (None, True, True),
     ({"refresh_on_read": True}, False, False)],
)  # fmt: skip
def test_a_read_gives_a_lifetime_anew_where_that_is_said(
    memory: Memory, clock: ManualClock, ttl: Any, asked: Any, there: bool
) -> None:
    store = AgentMemStore(memory, ttl=ttl)
    store.put(NS, "a", {"n": 1}, ttl=10)
    store.put(NS, "b", {"n": 2}, ttl=10)
    clock.advance(minutes=6)
    store.get(NS, "a", refresh_ttl=asked)
    store.search(NS, filter={"n": 2}, refresh_ttl=asked)
    clock.advance(minutes=6)

    assert [item.key for item in store.search(NS, refresh_ttl=False)] == (["b", "a"] if there else [])


def test_the_sweeper_sweeps_and_stops(memory: Memory, clock: ManualClock) -> None:
    store = AgentMemStore(memory, user="ana", ttl={"sweep_interval_minutes": 0.01 / 60})
    store.put(NS, "k", {"n": 1}, ttl=1)
    clock.advance(minutes=2)
    future = store.start_ttl_sweeper()
    assert store.start_ttl_sweeper() is future
    waited = threading.Event()
    for _ in range(500):
        if not memory.stats()["notes"] or waited.wait(0.01):
            break

    assert memory.stats()["notes"] == 0
    assert store.stop_ttl_sweeper(timeout=5)
    assert future.result(timeout=5) is None
    again = store.start_ttl_sweeper()
    assert again.cancel()
    assert store.stop_ttl_sweeper(timeout=5)


# -- awaited -----------------------------------------------------------------------------------------------------


async def test_operations_of_one_tick_are_one_batch_in_their_order() -> None:
    async with AsyncAgentMemStore(AsyncMemory(None, embedder="hash"), user="ana") as store:
        await asyncio.gather(*(store.aput(NS, str(n % 5), {"n": n}) for n in range(20)))

        assert sorted(item.value["n"] for item in await store.asearch(NS, limit=20)) == [15, 16, 17, 18, 19]
        with pytest.raises(asyncio.InvalidStateError):
            store.get(NS, "1")
        assert (await asyncio.to_thread(store.get, NS, "1")).value == {"n": 16}
        await store.memory.close()


async def test_a_batch_that_is_being_written_is_written_whole_though_its_caller_is_cancelled() -> None:
    async with AsyncMemory(None, embedder="hash") as memory:
        store = AsyncAgentMemStore(memory, user="ana")
        await store.aput(NS, "old", {"n": 0})
        batch = asyncio.create_task(store.abatch([PutOp(NS, "new", {"n": 1}), PutOp(NS, "old", None)]))
        await asyncio.sleep(0)
        batch.cancel()
        await asyncio.gather(batch, return_exceptions=True)
        for _ in range(200):
            if [item.key for item in await store.asearch(NS)] == ["new"]:
                break
            await asyncio.sleep(0.01)

        assert [item.key for item in await store.asearch(NS)] == ["new"]


async def test_a_store_that_is_not_async_can_be_awaited(store: AgentMemStore) -> None:
    await asyncio.gather(*(store.aput(NS, str(n), {"n": n}) for n in range(8)))

    assert len(await store.asearch(NS)) == 8


async def test_an_awaited_embedder_and_the_sweeper_of_an_awaited_store(tmp_path: Path) -> None:
    async def embed(texts: list[str]) -> list[list[float]]:
        await asyncio.sleep(0)
        return [[1.0, float(len(text))] for text in texts]

    ttl = {"default_ttl": 0.05 / 60, "sweep_interval_minutes": 0.05 / 60}
    async with AsyncAgentMemStore(tmp_path / "m", index={"embed": embed, "dims": 2}, ttl=ttl) as store:
        await store.aput(NS, "ever", {"text": "four"}, ttl=None)
        await store.aput(NS, "k", {"text": "two"})
        task = await store.start_ttl_sweeper()
        for _ in range(200):
            if (await store.memory.stats())["notes"] == 1:
                break
            await asyncio.sleep(0.02)

        assert [item.score for item in await store.asearch(NS, query="four")] == [pytest.approx(1.0, abs=1e-3)]
        assert await store.stop_ttl_sweeper(timeout=5)
        assert task.done()


# -- what is configured ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"index": {"field": ["x"]}}, {"index": {"fields": "x"}}, {"index": {"embed": len}}, {"index": 7}, {"ttl": {"default": 5}},
        {"ttl": {"default_ttl": -1}}, {"ttl": {"sweep_interval_minutes": 0}}, {"ttl": {"omit_expired": False}}, {"user": 7},
    ],
    ids=str,
)  # fmt: skip
def test_wrong_options_are_refused_with_their_cure(memory: Memory, options: Any) -> None:
    with pytest.raises(InvalidArgument) as error:
        AgentMemStore(memory, **options)

    assert error.value.hint


def test_dimensions_that_are_not_the_embedder_s_are_refused() -> None:
    with AgentMemStore(None, index={"embed": lambda texts: [[1.0, 2.0] for _ in texts], "dims": 3}) as store:
        with pytest.raises(AgentMemError, match="dimensions"):
            store.put(NS, "k", {"text": "one"})

        assert store.get(NS, "k") is None


def test_the_other_kind_of_memory_is_refused(memory: Memory) -> None:
    with pytest.raises(InvalidArgument, match="Memory"):
        AgentMemStore(object())  # type: ignore[arg-type]
