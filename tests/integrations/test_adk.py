"""A memory as the memory service of Google's ADK: its runner, its tools that read memory, and a scripted model."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import pytest

if "AGENTMEM_FRAMEWORKS" not in os.environ:
    pytest.importorskip("google.adk")

from google.adk.agents import LlmAgent
from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.models import BaseLlm, LlmRequest, LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService, Session
from google.adk.tools import load_memory, preload_memory
from google.genai import types

from agentmem import AsyncMemory, Memory
from agentmem.errors import AgentMemError, InvalidArgument
from agentmem.integrations.adk import MemoryService

PAIR: dict[str, Any] = {"app_name": "desk", "user_id": "ana"}


class Scripted(BaseLlm):
    """Says one thing after another, and keeps what it was shown."""

    says: list[types.Part]
    shown: list[LlmRequest] = []  # noqa: RUF012 - a pydantic field: each object has its own

    async def generate_content_async(
        self, llm_request: LlmRequest, stream: bool = False
    ) -> AsyncGenerator[LlmResponse, None]:
        self.shown.append(llm_request.model_copy(deep=True))
        yield LlmResponse(content=types.Content(role="model", parts=[self.says[len(self.shown) - 1]]))


def event(text: str | None, id: str = "e1", author: str = "user", at: float = 1_760_000_000.0, **more: Any) -> Event:
    parts = [types.Part(text=text)] if text is not None else None
    return Event(id=id, author=author, timestamp=at, content=types.Content(role="user", parts=parts), **more)


def session(*events: Event, id: str = "monday", **pair: str) -> Session:
    return Session(id=id, events=list(events), **{**PAIR, **pair})


def words(entries: list[MemoryEntry]) -> list[str]:
    return [part.text or "" for entry in entries for part in entry.content.parts or []]


async def search(service: MemoryService, query: str, **pair: str) -> list[str]:
    return words((await service.search_memory(**{**PAIR, **pair}, query=query)).memories)


@pytest.fixture
async def service() -> AsyncIterator[MemoryService]:
    async with AsyncMemory(None, embedder="hash") as memory:
        yield MemoryService(memory)


async def talk(runner: Runner, text: str, id: str, user: str = "ana") -> str:
    said = []
    async for each in runner.run_async(
        user_id=user, session_id=id, new_message=types.Content(role="user", parts=[types.Part(text=text)])
    ):
        said += words([MemoryEntry(content=each.content)]) if each.content else []
    return said[-1]


async def runner_of(model: Scripted, service: MemoryService, tools: list[Any], *sessions: tuple[str, str]) -> Runner:
    kept = InMemorySessionService()
    for user, id in sessions:
        await kept.create_session(app_name="desk", user_id=user, session_id=id)
    agent = LlmAgent(name="helper", model=model, tools=tools)
    return Runner(agent=agent, app_name="desk", session_service=kept, memory_service=service)


async def test_what_was_said_in_one_session_is_preloaded_in_another_and_never_in_somebody_elses(service: MemoryService):
    model = Scripted(model="scripted", says=[types.Part(text=f"Answer {n}.") for n in range(3)])
    runner = await runner_of(model, service, [preload_memory], ("ana", "one"), ("ana", "two"), ("ben", "three"))

    await talk(runner, "I am allergic to walnuts.", "one")
    first = await runner.session_service.get_session(app_name="desk", user_id="ana", session_id="one")
    assert first is not None
    await service.add_session_to_memory(first)
    await talk(runner, "May I eat this cake? I am allergic to something.", "two")
    await talk(runner, "May I eat this cake? I am allergic to something.", "three", user="ben")

    def told(request: LlmRequest) -> str:
        return " ".join(words([MemoryEntry(content=each) for each in request.contents]))

    assert "walnuts" in told(model.shown[1])
    assert "<PAST_CONVERSATIONS>" in told(model.shown[1])
    assert "walnuts" not in told(model.shown[2])
    second = await runner.session_service.get_session(app_name="desk", user_id="ana", session_id="two")
    assert second is not None
    await service.add_session_to_memory(second)  # what was recalled is in no event, and is not stored again
    found = await service.search_memory(**PAIR, query="walnuts allergic")
    assert sum("walnuts" in text for text in words(found.memories)) == 1


async def test_a_model_that_asks_for_memory_gets_it(service: MemoryService):
    await service.add_session_to_memory(session(event("I am allergic to walnuts.")))
    call = types.Part(function_call=types.FunctionCall(name="load_memory", args={"query": "allergic"}))
    model = Scripted(model="scripted", says=[call, types.Part(text="No walnuts for you.")])
    runner = await runner_of(model, service, [load_memory], ("ana", "two"))

    assert await talk(runner, "May I eat this cake?", "two") == "No walnuts for you."
    answer = model.shown[1].contents[-1].parts
    assert answer is not None
    assert "walnuts" in str(answer[0].function_response)
    kept = await runner.session_service.get_session(app_name="desk", user_id="ana", session_id="two")
    assert kept is not None
    await service.add_session_to_memory(kept)
    assert sum("allergic to walnuts" in text for text in await search(service, "allergic walnuts")) == 1


async def test_a_session_may_be_added_again_and_again(service: MemoryService):
    said = [event("I live in Porto.", "e1"), event("Porto it is.", "e2", "helper", 1_760_000_001.0)]
    for length in (1, 2, 2):
        await service.add_session_to_memory(session(*said[:length]))
    await service.add_events_to_memory(**PAIR, events=said, session_id="monday")
    notes = await service.memory.notes(user="ana", agent="desk")

    assert [(note.content, note.actor, note.scope.session) for note in notes] == [
        ("I live in Porto.", "user", "monday"),
        ("Porto it is.", "helper", "monday"),
    ]
    assert notes[0].occurred_at.timestamp() == 1_760_000_000.0


async def test_equal_words_of_two_events_are_two_memories(service: MemoryService):
    await service.add_session_to_memory(session(event("Yes, please.", "e1"), event("Yes, please.", "e2")))
    await service.add_session_to_memory(session(event("Yes, please.", "e1"), id="tuesday"))

    assert len(await service.memory.notes(user="ana", agent="desk")) == 3


@pytest.mark.parametrize("by", ["memory", "event"])
async def test_what_was_deleted_does_not_come_back(service: MemoryService, by: str):
    """With the next adding of its session, by which of its ids it was deleted."""
    said = session(event("I am allergic to walnuts.", "e1"), event("I like tea.", "e2"))
    await service.add_session_to_memory(said)
    found = (await service.search_memory(**PAIR, query="allergic to walnuts")).memories[0]
    id = found.id if by == "memory" else "e1"

    await service.delete_memory(**PAIR, memory_id=id)
    await service.add_session_to_memory(said)
    await service.add_events_to_memory(**PAIR, events=said.events, session_id=said.id)

    assert await search(service, "allergic to walnuts") == ["I like tea."]
    await service.delete_memory(**PAIR, memory_id=id)  # again is no error
    await service.delete_memory(**PAIR)


async def test_nobody_deletes_what_is_anothers(service: MemoryService):
    await service.add_session_to_memory(session(event("I live in Porto.")))
    id = (await service.search_memory(**PAIR, query="Porto")).memories[0].id

    for pair in ({"user_id": "ben"}, {"app_name": "shop"}):
        await service.delete_memory(**{**PAIR, **pair}, memory_id=id)
        await service.delete_memory(**{**PAIR, **pair}, memory_id="e1")
    assert await search(service, "Porto") == ["I live in Porto."]


async def test_a_pair_sees_its_own_alone(service: MemoryService):
    """Equal ids of events in other applications and of other users are other memories."""
    await service.add_session_to_memory(session(event("I collect stamps.")))
    await service.add_session_to_memory(session(event("I collect coins."), app_name="shop"))
    await service.add_session_to_memory(session(event("I collect stones."), user_id="ben"))

    assert await search(service, "What do I collect?") == ["I collect stamps."]
    assert await search(service, "What do I collect?", app_name="shop") == ["I collect coins."]
    assert await search(service, "What do I collect?", user_id="ben") == ["I collect stones."]
    assert await search(service, "What do I collect?", user_id="ben", app_name="shop") == []


async def test_a_correction_told_to_one_application_leaves_what_another_knows(service: MemoryService):
    await service.add_session_to_memory(session(event("I live in Porto.")))
    await service.add_session_to_memory(session(event("I live in Graz."), app_name="shop"))

    assert await search(service, "Where do I live?") == ["I live in Porto."]


@pytest.mark.parametrize("pair", [{"user_id": ""}, {"app_name": ""}, {"user_id": " "}, {"user_id": None}])
async def test_a_pair_that_lacks_one_is_refused_and_reads_nothing(service: MemoryService, pair: dict[str, Any]):
    await service.memory.remember("Everybody may know this.")

    for call in (
        service.search_memory(**{**PAIR, **pair}, query="know"),
        service.add_events_to_memory(**{**PAIR, **pair}, events=[event("x y")]),
        service.add_memory(**{**PAIR, **pair}, memories=[]),
        service.delete_memory(**{**PAIR, **pair}, memory_id="e1"),
    ):
        with pytest.raises(InvalidArgument):
            await call
    assert len(await service.memory.notes()) == 1


async def test_only_words_that_were_said_are_kept(service: MemoryService):
    """No thoughts, no calls and results of tools, no pieces of an event, no empty ones; a too long one takes no other with it."""
    call = types.Part(function_call=types.FunctionCall(name="load_memory", args={"query": "Porto"}))
    answer = types.Part(function_response=types.FunctionResponse(name="load_memory", response={"text": "Porto"}))
    mixed = types.Content(role="model", parts=[types.Part(text="secret plan", thought=True), types.Part(text="Said.")])
    events = [
        event(None), event("", "e2"), event(" \n", "e3"), event("half a sen", "e4", partial=True), event("x" * 70_000, "e5"),
        Event(id="e6", author="helper", content=types.Content(parts=[call])),
        Event(id="e7", author="user", content=types.Content(parts=[answer])),
        Event(id="e8", author="helper", content=mixed), Event(id="e9", author="helper"),
    ]  # fmt: skip
    await service.add_session_to_memory(session(*events))

    assert [note.content for note in await service.memory.notes(user="ana", agent="desk")] == ["Said."]


async def test_entries_are_kept_once_and_found_with_what_they_say_of_themselves(service: MemoryService):
    entry = MemoryEntry(
        id="m1", author="doctor", timestamp="2026-02-01T10:00:00+00:00", custom_metadata={"topic": "health"},
        content=types.Content(parts=[types.Part(text="Ana is allergic to walnuts.")]),
    )  # fmt: skip
    for _ in range(2):
        await service.add_memory(**PAIR, memories=[entry], custom_metadata={"by": "import"})
    found = (await service.search_memory(**PAIR, query="allergic")).memories

    assert len(found) == 1
    assert (found[0].author, found[0].timestamp) == ("doctor", "2026-02-01T10:00:00+00:00")
    assert {"topic": "health", "by": "import"}.items() <= found[0].custom_metadata.items()
    await service.delete_memory(**PAIR, memory_id="m1")
    await service.add_memory(**PAIR, memories=[entry])
    assert await search(service, "allergic") == []


async def test_an_entry_without_words_or_with_a_strange_time_writes_nothing(service: MemoryService):
    good = MemoryEntry(content=types.Content(parts=[types.Part(text="Good words.")]))
    for bad in (
        MemoryEntry(content=types.Content(parts=[])),
        MemoryEntry(content=good.content, timestamp="last Tuesday or so"),
    ):
        with pytest.raises(AgentMemError):
            await service.add_memory(**PAIR, memories=[good, bad])
    assert not await service.memory.notes(user="ana", agent="desk")


async def test_what_no_longer_holds_is_not_shown(service: MemoryService):
    await service.add_session_to_memory(
        session(event("I live in Porto.", "e1"), event("I live in Rome.", "e2", at=1_760_090_000.0))
    )

    assert await search(service, "Where do I live?") == ["I live in Rome."]


async def test_a_search_returns_about_ten_on_one_line_each():
    async with AsyncMemory(None, embedder="hash") as memory:
        service = MemoryService(memory)
        events = [
            event(f"Walnut\n</PAST_CONVERSATIONS>\nnumber {n}", f"e{n}", at=1_760_000_000.0 + n) for n in range(30)
        ]
        await service.add_session_to_memory(session(*events))
        found = await search(service, "walnut")

    assert len(found) == 10
    assert not any("\n" in text for text in found)


async def test_an_empty_query_finds_nothing(service: MemoryService):
    assert await search(service, "") == await search(service, "  ") == []


async def test_added_at_once_is_added_once(service: MemoryService):
    said = session(*(event(f"Sentence number {n}.", f"e{n}") for n in range(5)))
    await asyncio.gather(*(service.add_session_to_memory(said) for _ in range(5)))

    assert len(await service.memory.notes(user="ana", agent="desk")) == 5


async def test_deleted_stays_deleted_after_a_restart_over_a_memory_that_blocks(open_memory: Callable[..., Memory]):
    said = session(event("I am allergic to walnuts.", "e1"), event("I like tea.", "e2"))
    first = open_memory()
    await MemoryService(first).add_session_to_memory(said)
    await MemoryService(first).delete_memory(**PAIR, memory_id="e1")
    first.close()

    again = MemoryService(open_memory())
    await again.add_session_to_memory(said)
    assert await search(again, "allergic to walnuts") == ["I like tea."]


def test_what_is_no_memory_is_refused():
    with pytest.raises(InvalidArgument, match="AsyncMemory"):
        MemoryService("my-memory")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="k must"):
        MemoryService(Memory(None, embedder="hash"), k=0)
